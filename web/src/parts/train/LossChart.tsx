import type { Curve } from "../../api/jobs";
import { useWidth } from "../../lib/width";
import { useWords } from "../../words";

const HEIGHT = 300;
const PAD = { left: 46, right: 14, top: 24, bottom: 40 };

export interface Line {
  name: string;
  curve: Curve;
}

/** Losses over steps, of one training or two; looks at held-out rows and events are marked. */
export function LossChart({ lines }: { lines: Line[] }) {
  const { say, f } = useWords();
  const [box, width] = useWidth(700);
  const drawn = lines.filter((one) => one.curve.steps.length > 1);
  if (!drawn.length) return <p className="quiet">{say("train.none.yet")}</p>;
  const curves = drawn.map((one) => one.curve);
  const values = curves.flatMap((one) => [...one.steps, ...one.evaluations].map((at) => at.loss_nats));
  const low = values.reduce((a, b) => Math.min(a, b));
  const span = Math.max(1e-9, values.reduce((a, b) => Math.max(a, b)) - low);
  const last = Math.max(...curves.map((one) => one.of ?? one.step), 1);
  const x = (step: number) => PAD.left + (step / last) * (width - PAD.left - PAD.right);
  const y = (loss: number) =>
    HEIGHT - PAD.bottom - ((loss - low) / span) * (HEIGHT - PAD.top - PAD.bottom);
  return (
    <figure className="chart" ref={box}>
      <svg width={width} height={HEIGHT} role="img" aria-labelledby="loss-title">
        <title id="loss-title">
          {drawn
            .map(({ name, curve }) =>
              say("train.chart.alt", {
                name,
                step: curve.step,
                loss: f.number(curve.steps.at(-1)!.loss_nats),
              }),
            )
            .join(" ")}
        </title>
        <text className="axis" x={0} y={13}>
          {say("train.chart.loss")}
        </text>
        {[0, 0.5, 1].map((share) => (
          <g key={share} className="grid">
            <line x1={PAD.left} x2={width - PAD.right} y1={y(low + share * span)} y2={y(low + share * span)} />
            <text x={PAD.left - 8} y={y(low + share * span) + 4} textAnchor="end">
              {f.short(low + share * span)}
            </text>
          </g>
        ))}
        {[0, 0.5, 1].map((share) => (
          <text
            key={share}
            className="tick"
            x={x(share * last)}
            y={HEIGHT - 22}
            textAnchor={share === 1 ? "end" : share ? "middle" : "start"}
          >
            {f.integer(share * last)}
          </text>
        ))}
        <text className="axis" x={width - PAD.right} y={HEIGHT - 4} textAnchor="end">
          {say("train.chart.step")}
        </text>
        {curves[0]!.events
          .filter((one) => one.step > 0)
          .map((one, place) => (
            <line
              key={place}
              className="zero"
              x1={x(one.step)}
              x2={x(one.step)}
              y1={PAD.top}
              y2={HEIGHT - PAD.bottom}
            >
              <title>{`${one.what} (${one.step})`}</title>
            </line>
          ))}
        {curves.map((curve, place) => (
          <g key={place} className={place ? "loss other" : "loss"}>
            <path
              d={curve.steps
                .map((one, at) => `${at ? "L" : "M"}${x(one.step).toFixed(1)} ${y(one.loss_nats).toFixed(1)}`)
                .join("")}
            />
            {curve.evaluations.map((one, at) => (
              <circle key={at} cx={x(one.step)} cy={y(one.loss_nats)} r={4} />
            ))}
          </g>
        ))}
      </svg>
      <figcaption>
        <span className="legend">
          {drawn.map((one, place) => (
            <span key={place}>
              <svg width="26" height="10" aria-hidden="true">
                <g className={place ? "loss other" : "loss"}>
                  <path d="M0 5L26 5" />
                  <circle cx="13" cy="5" r="4" />
                </g>
              </svg>
              {one.name}
            </span>
          ))}
        </span>
        <span className="quiet">{say("train.chart.about")}</span>
      </figcaption>
    </figure>
  );
}

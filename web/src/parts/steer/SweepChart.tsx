import { useId } from "react";
import { useWidth } from "../../lib/width";
import { useWords } from "../../words";

export interface Point {
  way: string;
  strength: number | null;
  /** Share that carries the concept, or has the label, 0 to 1. */
  effect: number;
  interval: readonly [number, number];
  /** More bits per byte on other texts, or right answers lost on other rows; a share. */
  cost: number;
  /** Repetition, where texts are written. */
  second: number | null;
  isHarmless: boolean;
  example: string;
}

interface Props {
  points: Point[];
  recommended: { strength: number; low: number; high: number } | null;
  isLanguage: boolean;
  carries: string;
}

const HEIGHT = 170;
const PAD = { left: 52, right: 16, top: 26, bottom: 30 };
/** Side effects beyond so much count as large; the library's own limit for bits per byte. */
const LIMIT = 0.05;

/** Effect above, side effect below, both against strength. The table holds the same figures. */
export function SweepChart({ points, recommended, isLanguage, carries }: Props) {
  const { say, f } = useWords();
  const [box, width] = useWidth(720);
  const title = useId();
  const base = points.find((one) => one.way === "unsteered");
  const own = points
    .filter((one) => one.way === "neuron" && one.strength !== null)
    .sort((a, b) => a.strength! - b.strength!);
  const random = points.filter((one) => one.way.startsWith("random") && one.strength !== null);
  if (!own.length) return null;
  const strengths = [...own, ...random].map((one) => one.strength!);
  const low = Math.min(...strengths);
  const span = Math.max(1e-9, Math.max(...strengths) - low);
  const x = (strength: number) =>
    PAD.left + 12 + ((strength - low) / span) * (width - PAD.left - PAD.right - 24);
  const most = Math.max(isLanguage ? 2 * LIMIT : LIMIT, ...own.map((one) => one.cost));
  const cost_low = Math.min(0, ...own.map((one) => one.cost));
  const inside = HEIGHT - PAD.top - PAD.bottom;
  const up = (share: number) => HEIGHT - PAD.bottom - share * inside;
  const down = (cost: number) =>
    HEIGHT - PAD.bottom - ((cost - cost_low) / (most - cost_low)) * inside;
  const path = (at: (one: Point) => number) =>
    own.map((one, place) => `${place ? "L" : "M"}${x(one.strength!)} ${at(one)}`).join("");
  const band = recommended ? [x(recommended.low) - 9, x(recommended.high) + 9] : null;
  const ticks: Point[] = [];
  for (const one of own) {
    const last = ticks.at(-1);
    if (!last || x(one.strength!) - x(last.strength!) >= 42) ticks.push(one);
  }
  const axis = (
    <>
      {ticks.map((one) => (
        <text
          key={one.strength}
          className="tick"
          x={x(one.strength!)}
          y={HEIGHT - 10}
          textAnchor="middle"
        >
          {f.short(one.strength)}
        </text>
      ))}
    </>
  );
  const shade = band ? (
    <rect className="band" x={band[0]} y={PAD.top - 8} width={band[1]! - band[0]!} height={inside + 8} />
  ) : null;
  return (
    <figure className="chart" ref={box}>
      <svg width={width} height={HEIGHT} role="img" aria-labelledby={`${title}a`}>
        <title id={`${title}a`}>{say("steer.chart.effect.alt", { n: own.length })}</title>
        <text className="axis" x={0} y={13}>
          {say(isLanguage ? "steer.chart.effect" : "steer.chart.turned", { words: carries })}
        </text>
        {shade}
        {[0, 0.5, 1].map((tick) => (
          <g key={tick} className="grid">
            <line x1={PAD.left} x2={width - PAD.right} y1={up(tick)} y2={up(tick)} />
            <text x={PAD.left - 8} y={up(tick) + 4} textAnchor="end">
              {f.percent(tick, 0)}
            </text>
          </g>
        ))}
        {base ? (
          <line
            className="zero"
            x1={PAD.left}
            x2={width - PAD.right}
            y1={up(base.effect)}
            y2={up(base.effect)}
          />
        ) : null}
        {random.map((one, number) => (
          <circle
            key={number}
            className="random"
            cx={x(one.strength!)}
            cy={up(one.effect)}
            r={4.5}
          />
        ))}
        <path className="curve" d={path((one) => up(one.effect))} />
        {own.map((one) => (
          <g key={one.strength} className={one.isHarmless ? "dot" : "dot harm"}>
            <line
              x1={x(one.strength!)}
              x2={x(one.strength!)}
              y1={up(one.interval[0])}
              y2={up(one.interval[1])}
            />
            <Mark isHarmless={one.isHarmless} x={x(one.strength!)} y={up(one.effect)} />
          </g>
        ))}
        {axis}
      </svg>
      <svg width={width} height={HEIGHT} role="img" aria-labelledby={`${title}b`}>
        <title id={`${title}b`}>{say("steer.chart.cost.alt", { n: own.length })}</title>
        <text className="axis" x={0} y={13}>
          {say(isLanguage ? "steer.chart.cost" : "steer.chart.lost")}
        </text>
        {shade}
        {[cost_low, most].map((tick) => (
          <g key={tick} className="grid">
            <line x1={PAD.left} x2={width - PAD.right} y1={down(tick)} y2={down(tick)} />
            <text x={PAD.left - 8} y={down(tick) + 4} textAnchor="end">
              {f.percent(tick, most < 0.1 ? 1 : 0)}
            </text>
          </g>
        ))}
        <line className="zero" x1={PAD.left} x2={width - PAD.right} y1={down(0)} y2={down(0)} />
        {isLanguage ? (
          <line
            className="limit-line"
            x1={PAD.left}
            x2={width - PAD.right}
            y1={down(LIMIT)}
            y2={down(LIMIT)}
          />
        ) : null}
        <path className="curve" d={path((one) => down(one.cost))} />
        {own.map((one) => (
          <g key={one.strength} className={one.isHarmless ? "dot" : "dot harm"}>
            <Mark isHarmless={one.isHarmless} x={x(one.strength!)} y={down(one.cost)} />
          </g>
        ))}
        {axis}
      </svg>
      <figcaption>
        <span className="legend">
          {[true, false].map((isHarmless) => (
            <span key={String(isHarmless)}>
              <svg width="14" height="14" aria-hidden="true">
                <g className={isHarmless ? "dot" : "dot harm"}>
                  <Mark isHarmless={isHarmless} x={7} y={7} />
                </g>
              </svg>
              {say(isHarmless ? "steer.chart.harmless" : "steer.chart.harm")}
            </span>
          ))}
          {random.length ? (
            <span>
              <svg width="14" height="14" aria-hidden="true">
                <circle className="random" cx="7" cy="7" r="4.5" />
              </svg>
              {say("steer.chart.random")}
            </span>
          ) : null}
          {band ? (
            <span>
              <svg width="14" height="14" aria-hidden="true">
                <rect className="band" width="14" height="14" />
              </svg>
              {say("steer.chart.band")}
            </span>
          ) : null}
        </span>
        <span className="quiet">
          {say(isLanguage ? "steer.chart.about" : "steer.chart.about.classifier")}
        </span>
      </figcaption>
    </figure>
  );
}

/** What harms differs in shape as well as in colour. */
function Mark({ isHarmless, x, y }: { isHarmless: boolean; x: number; y: number }) {
  return isHarmless ? (
    <circle cx={x} cy={y} r={5} />
  ) : (
    <path d={`M${x - 4.5} ${y - 4.5}l9 9m0-9l-9 9`} />
  );
}

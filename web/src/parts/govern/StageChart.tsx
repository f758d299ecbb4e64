import { useWidth } from "../../lib/width";
import { stageName, type Stage } from "../../lib/govern";
import { useWords } from "../../words";

export type Who = "old" | "new";

/** What one model did in one stage. */
export interface Mark {
  stage: Stage;
  who: Who;
  value: number;
  interval?: readonly [number, number] | null;
  /** What it was measured on. */
  n: string;
}

interface Props {
  title: string;
  about: string;
  marks: Mark[];
  write: (value: number) => string;
  /** A limit that a gate keeps, and on which side of it is good. */
  limit?: { value: number; isLeast: boolean } | null;
  empty: string;
}

const HEIGHT = 26;

/** One quantity over the stages, old and new model; the numbers stand beside as text. */
export function StageChart({ title, about, marks, write, limit, empty }: Props) {
  const { say } = useWords();
  const [box, width] = useWidth(300);
  const values = marks.flatMap((one) => [one.value, ...(one.interval ?? [])]);
  if (limit) values.push(limit.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const from = low >= 0 && low < high * 0.7 ? 0 : low;
  const span = high - from || Math.abs(high) || 1;
  const at = (value: number) => 8 + ((value - from) / span) * (width - 16);
  const hasLimit = limit ? write(limit.value) : "";
  return (
    <section className="card measure" aria-label={title}>
      <h3>{title}</h3>
      <p className="quiet">{about}</p>
      {marks.length ? (
        <ul ref={box}>
          {marks.map((one) => (
            <li key={`${one.stage} ${one.who}`}>
              <p>
                <span className="quiet">
                  {stageName(one.stage, say)}, {say(`rollout.${one.who}`)}
                </span>
                <span>
                  <strong>{write(one.value)}</strong>{" "}
                  {one.interval ? (
                    <span className="quiet">
                      {write(one.interval[0])}
                      {" \u2026 "}
                      {write(one.interval[1])}
                    </span>
                  ) : null}
                </span>
              </p>
              <svg width={width} height={HEIGHT} aria-hidden="true">
                <line className="base" x1={8} x2={width - 8} y1={13} y2={13} />
                {limit ? (
                  <line className="limit-line" x1={at(limit.value)} x2={at(limit.value)} y1={1} y2={25} />
                ) : null}
                {one.interval ? (
                  <line
                    className={`span ${one.who}`}
                    x1={at(one.interval[0])}
                    x2={at(one.interval[1])}
                    y1={13}
                    y2={13}
                  />
                ) : null}
                {one.who === "old" ? (
                  <rect className="whole" x={at(one.value) - 5} y={8} width={10} height={10} />
                ) : (
                  <circle className="column" cx={at(one.value)} cy={13} r={6} />
                )}
              </svg>
              <p className="quiet">{one.n}</p>
            </li>
          ))}
        </ul>
      ) : (
        <p className="quiet">{empty}</p>
      )}
      {limit ? (
        <p className="quiet">
          {say(limit.isLeast ? "rollout.limit.least" : "rollout.limit.most", { limit: hasLimit })}
        </p>
      ) : null}
    </section>
  );
}

import type { ReactNode } from "react";
import { useState } from "react";
import { useWords } from "../../words";

export interface Scored {
  key: string;
  name: ReactNode;
  score: number;
}

const SHOWN = 12;

/** Things and what they add, the strongest first; above zero to the right. */
export function ScoreBars({ items, wide = false }: { items: Scored[]; wide?: boolean }) {
  const { say, f } = useWords();
  const [isWhole, setWhole] = useState(false);
  const largest = Math.max(1e-9, ...items.map((item) => Math.abs(item.score)));
  const ranked = [...items].sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
  const shown = isWhole ? ranked : ranked.slice(0, SHOWN);
  return (
    <>
      <ol className={wide ? "bars two-sided wide" : "bars two-sided"}>
        {shown.map((item) => (
          <li key={item.key}>
            <span className="word">{item.name}</span>
            <span className="bar" aria-hidden="true">
              <span
                className={item.score >= 0 ? "for" : "against"}
                style={{ width: `${(Math.abs(item.score) / largest) * 50}%` }}
              />
            </span>
            <span className="number">{f.signed(item.score)}</span>
          </li>
        ))}
      </ol>
      {ranked.length > SHOWN && !isWhole ? (
        <button onClick={() => setWhole(true)}>{say("app.more")}</button>
      ) : null}
    </>
  );
}

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { post, type Label, type Labels, type Schemas } from "../../api/client";
import { lead, N_RANDOM, randomSets, strongest, without } from "../../lib/ablation";
import { useWidth } from "../../lib/width";
import { useWords } from "../../words";
import { Trouble } from "../Notice";

interface Props {
  text: string;
  answer: Label;
  explanation: Schemas["Explanation"];
  /** Gets the result, for the record that is saved. */
  tell: (result: object) => void;
}

interface Result {
  removed: string[];
  before: number;
  after: number;
  random: number[];
  label: string;
}

const CHOICES = [1, 2, 3, 5, 8];

/** Share of random sets that may do as much as the named words where an explanation holds. */
const ALLOWED = 0.05;

export function Ablation({ text, answer, explanation, tell }: Props) {
  const { say, f, lang } = useWords();
  const { words, against } = explanation;
  const n_for = words.filter((word) => word.share > 0).length;
  const choices = CHOICES.filter((n) => n <= n_for && words.length >= 2 * n + 1);
  const [n, setN] = useState(choices.find((one) => one === 3) ?? choices.at(-1) ?? 0);
  const test = useMutation({
    mutationFn: async (): Promise<Result> => {
      const named = strongest(words, n);
      const sets = [named, ...randomSets(words, named, text)];
      const texts = sets.map((set) => without(text, set));
      const { answers } = await post<Labels>("/classify", { texts });
      const [first, ...rest] = answers.map((one) => lead(one, answer.label, against));
      const letters = Array.from(text);
      return {
        removed: named.map((word) => letters.slice(word.start, word.end).join("")),
        before: lead(answer, answer.label, against),
        after: first ?? 0,
        random: rest,
        label: answers[0]?.label ?? answer.label,
      };
    },
    onSuccess: tell,
  });
  if (!choices.length) return <p>{say("why.test.short", { n: 3 })}</p>;
  const found = test.data;
  const n_as = found ? found.random.filter((one) => one <= found.after).length : 0;
  const holds = found ? n_as <= ALLOWED * found.random.length : false;
  const separator = lang === "ja" ? "」「" : "\u201d, \u201c";
  const named = (result: Result) =>
    lang === "ja" ? `「${result.removed.join(separator)}」` : `\u201c${result.removed.join(separator)}\u201d`;
  return (
    <>
      <p>{say("why.test.about")}</p>
      <div className="row">
        <label>
          {say("why.test.n")}
          <select value={n} onChange={(event) => setN(Number(event.target.value))}>
            {choices.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <button disabled={test.isPending} onClick={() => test.mutate()}>
          {say(test.isPending ? "why.test.running" : "why.test.run")}
        </button>
      </div>
      <p className="quiet">{say("why.test.record", { n: N_RANDOM + 1 })}</p>
      {test.error ? <Trouble error={test.error} /> : null}
      {found ? (
        <div aria-live="polite">
          <p className="verdict">
            <strong className={holds ? "good" : "bad"}>
              {say(holds ? "why.test.holds" : "why.test.fails")}
            </strong>{" "}
            {say("why.test.result", {
              words: named(found),
              before: f.signed(found.before),
              after: f.signed(found.after),
              n: found.random.length,
              as: n_as,
            })}{" "}
            {found.label !== answer.label ? say("why.test.flip", { label: found.label }) : null}
          </p>
          <Strip found={found} />
          <p className="quiet">{say("why.test.honest")}</p>
        </div>
      ) : null}
    </>
  );
}

/** Leads on one line: the whole text, without the named words, without random ones. */
function Strip({ found }: { found: Result }) {
  const { say, f } = useWords();
  const [box, width] = useWidth(640);
  const all = [found.before, found.after, ...found.random, 0];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (value: number) => 14 + ((value - low) / Math.max(1e-9, high - low)) * (width - 28);
  return (
    <figure className="chart" ref={box}>
      <svg
        width={width}
        height={64}
        role="img"
        aria-label={say("why.test.alt", {
          before: f.signed(found.before),
          after: f.signed(found.after),
          low: f.signed(Math.min(...found.random)),
          high: f.signed(Math.max(...found.random)),
        })}
      >
        <line className="base" x1={8} x2={width - 8} y1={32} y2={32} />
        <line className="zero" x1={x(0)} x2={x(0)} y1={14} y2={48} />
        <text className="tick" x={x(0)} y={61} textAnchor={x(0) < 20 ? "start" : "middle"}>
          0
        </text>
        {found.random.map((value, number) => (
          <circle key={number} className="random" cx={x(value)} cy={32} r={6} />
        ))}
        <rect className="whole" x={x(found.before) - 3} y={18} width={6} height={28} />
        <path className="named" d={`M${x(found.after)} 20l11 12l-11 12l-11-12z`} />
      </svg>
      <figcaption className="legend">
        <span>
          <svg width="14" height="14" aria-hidden="true">
            <rect className="whole" x={5} y={0} width={5} height={14} />
          </svg>
          {say("why.test.whole")} {f.signed(found.before)}
        </span>
        <span>
          <svg width="14" height="14" aria-hidden="true">
            <path className="named" d="M7 0l7 7l-7 7l-7-7z" />
          </svg>
          {say("why.test.named")} {f.signed(found.after)}
        </span>
        <span>
          <svg width="14" height="14" aria-hidden="true">
            <circle className="random" cx={7} cy={7} r={6} />
          </svg>
          {say("why.test.random")}
        </span>
      </figcaption>
    </figure>
  );
}

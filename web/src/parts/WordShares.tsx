import { useState } from "react";
import type { Schemas } from "../api/client";
import { useWords } from "../words";

interface Props {
  text: string;
  label: string;
  explanation: Schemas["Explanation"];
}

const SHOWN = 12;

/** The text with its words coloured by effect, and the words in order of effect. */
export function WordShares({ text, label, explanation }: Props) {
  const { say, f } = useWords();
  const [isWhole, setWhole] = useState(false);
  const { words, against } = explanation;
  const letters = Array.from(text);
  const largest = Math.max(1e-9, ...words.map((word) => Math.abs(word.share)));
  const ranked = [...words].sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  const shown = isWhole ? ranked : ranked.slice(0, SHOWN);
  const written = (word: Schemas["WordShare"]) => letters.slice(word.start, word.end).join("");
  if (!words.length) return <p>{say("why.words.none")}</p>;
  return (
    <>
      <p className="quiet">{say("why.words.about", { label, against })}</p>
      <p className="told" translate="no">
        {words.map((word, number) => (
          <span key={word.start}>
            {letters.slice(words[number - 1]?.end ?? 0, word.start).join("")}
            <span
              className={word.share >= 0 ? "for" : "against"}
              style={{ "--heat": Math.abs(word.share) / largest }}
              title={f.signed(word.share)}
            >
              {written(word)}
            </span>
          </span>
        ))}
        {letters.slice(words.at(-1)?.end ?? 0).join("")}
      </p>
      <p className="legend">
        <span>
          <span className="swatch for" /> {say("why.words.for", { label })}
        </span>
        <span>
          <span className="swatch against" /> {say("why.words.against", { label: against })}
        </span>
      </p>
      <ol className="bars two-sided">
        {shown.map((word) => (
          <li key={word.start}>
            <span className="word">{written(word)}</span>
            <span className="bar" aria-hidden="true">
              <span
                className={word.share >= 0 ? "for" : "against"}
                style={{ width: `${(Math.abs(word.share) / largest) * 50}%` }}
              />
            </span>
            <span className="number">{f.signed(word.share)}</span>
          </li>
        ))}
      </ol>
      {ranked.length > SHOWN && !isWhole ? (
        <button onClick={() => setWhole(true)}>{say("app.more")}</button>
      ) : null}
      {explanation.is_cut ? (
        <p className="quiet">{say("why.words.cut", { n: words.length })}</p>
      ) : null}
    </>
  );
}

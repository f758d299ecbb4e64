import type { Schemas } from "../../api/client";
import { useWords } from "../../words";
import { HeatedText, type Piece } from "./HeatedText";
import { ScoreBars } from "./ScoreBars";

interface Props {
  text: string;
  label: string;
  explanation: Schemas["Explanation"];
}

/** The text with its words coloured by effect, and the words in order of effect. */
export function WordShares({ text, label, explanation }: Props) {
  const { say } = useWords();
  const { words, against } = explanation;
  const letters = Array.from(text);
  if (!words.length) return <p>{say("why.words.none")}</p>;
  const written = (word: Schemas["WordShare"]) => letters.slice(word.start, word.end).join("");
  const pieces: Piece[] = words.flatMap((word, number) => [
    { text: letters.slice(words[number - 1]?.end ?? 0, word.start).join(""), score: null },
    { text: written(word), score: word.share },
  ]);
  pieces.push({ text: letters.slice(words.at(-1)?.end ?? 0).join(""), score: null });
  return (
    <>
      <p className="quiet">{say("why.words.about", { label, against })}</p>
      <HeatedText pieces={pieces} target={label} against={against} />
      <ScoreBars
        items={words.map((word) => ({ key: String(word.start), name: written(word), score: word.share }))}
      />
      {explanation.is_cut ? (
        <p className="quiet">{say("why.words.cut", { n: words.length })}</p>
      ) : null}
    </>
  );
}

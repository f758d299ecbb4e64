import { useWords } from "../../words";

export interface Piece {
  text: string;
  /** null: it was not scored. */
  score: number | null;
}

interface Props {
  pieces: Piece[];
  target: string;
  against: string;
}

/** A text whose pieces are coloured by what they add, and what the colours mean. */
export function HeatedText({ pieces, target, against }: Props) {
  const { say, f } = useWords();
  const largest = Math.max(1e-9, ...pieces.map(({ score }) => Math.abs(score ?? 0)));
  return (
    <>
      <p className="told" translate="no">
        {pieces.map(({ text, score }, place) =>
          score === null ? (
            text
          ) : (
            <span
              key={place}
              className={score >= 0 ? "for" : "against"}
              style={{ "--heat": Math.abs(score) / largest }}
              title={f.signed(score)}
            >
              {text}
            </span>
          ),
        )}
      </p>
      <p className="legend">
        <span>
          <span className="swatch for" /> {say("why.words.for", { label: target })}
        </span>
        <span>
          <span className="swatch against" /> {say("why.words.against", { label: against })}
        </span>
      </p>
    </>
  );
}

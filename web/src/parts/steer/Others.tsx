import { useLocation } from "wouter";
import { useAddress } from "../../lib/address";
import { editOf, othersOf, written } from "../../lib/edit";
import { useWords } from "../../words";

/** Edits that apply together with the one of the form. */
export function Others() {
  const { say } = useWords();
  const [asked] = useAddress();
  const [path, go] = useLocation();
  const others = othersOf(asked);
  const text = written(editOf(asked));
  const set = (edits: string[], parts: string[] = []) => {
    const told = new URLSearchParams(window.location.search);
    told.delete("also");
    for (const part of parts) told.delete(part);
    for (const edit of edits) told.append("also", edit);
    go(`${path}?${told}${window.location.hash}`, { replace: true });
  };
  return (
    <>
      {others.length ? (
        <ul className="edits" aria-label={say("steer.others")}>
          {others.map((edit, place) => (
            <li key={`${place}${edit}`}>
              <code>{edit}</code>{" "}
              <button
                type="button"
                className="plain"
                aria-label={say("steer.others.drop", { edit })}
                onClick={() => set(others.filter((_, at) => at !== place))}
              >
                {"\u00d7"}
              </button>
            </li>
          ))}
        </ul>
      ) : null}
      <button
        type="button"
        disabled={!text}
        onClick={() =>
          set([...others, text ?? ""], ["neuron", "value", "mode", "at", "slice", "when", "what"])
        }
      >
        {say("steer.others.add")}
      </button>
    </>
  );
}

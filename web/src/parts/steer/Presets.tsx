import type { Preset, Steering } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";

const SHOWN = 50;

/** What is kept in the model's folder, to try again and to ask approval for. */
export function Presets({ steering }: { steering: Steering }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  if (!steering.presets.length) return <p>{say("steer.presets.none")}</p>;
  const byWhom = (one: Preset) =>
    [one.author, one.created ? f.date(one.created) : "", one.note].filter(Boolean).join(", ");
  return (
    <ul className="cards presets">
      {steering.presets.slice(0, SHOWN).map((one) => (
        <li key={one.name} className="card">
          <p className="card-title">
            <span>{one.name}</span>
            {asked.get("preset") === one.name ? (
              <span className="tag good">{say("steer.presets.chosen")}</span>
            ) : null}
          </p>
          {one.trouble ? (
            <p className="bad">{one.trouble}</p>
          ) : (
            <>
              <p>
                <code>{one.edits.join("; ")}</code>
              </p>
              <p className="quiet">{byWhom(one)}</p>
              <p className="row">
                <button
                  type="button"
                  onClick={() => {
                    change({ preset: one.name });
                    document.getElementById("try")?.scrollIntoView();
                  }}
                >
                  {say("steer.presets.try")}
                </button>
                <button type="button" onClick={() => change({ approve: one.name })}>
                  {say("steer.presets.ask")}
                </button>
              </p>
            </>
          )}
        </li>
      ))}
      {steering.presets.length > SHOWN ? (
        <li className="quiet">
          {say("steer.presets.more", { n: f.integer(steering.presets.length - SHOWN) })}
        </li>
      ) : null}
    </ul>
  );
}

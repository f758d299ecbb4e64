import { useQuery } from "@tanstack/react-query";
import { get, runPath, type Schemas } from "../api/client";
import { useAddress } from "../lib/address";
import { layersOf, type Pathways } from "../lib/parts";
import { Command, quoted } from "../parts/Command";
import { Loading, Trouble } from "../parts/Notice";
import { PartsGraph } from "../parts/pathways/PartsGraph";
import { PartsGrid } from "../parts/pathways/PartsGrid";
import { PartsTable, RemovalTable } from "../parts/pathways/PartsTable";
import { PointSlider } from "../parts/pathways/PointSlider";
import { isWord, useWords } from "../words";

const VIEWS = ["grid", "graph"] as const;

export default function PathwaysScreen() {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const runs = useQuery({
    queryKey: ["runs"],
    queryFn: ({ signal }) => get<Schemas["RunList"]>("/runs", {}, signal),
  });
  if (runs.error) return <Trouble error={runs.error} retry={() => void runs.refetch()} />;
  if (!runs.data) return <Loading />;
  const names = runs.data.runs.map((run) => run.name);
  const name = asked.get("run") ?? names[0] ?? null;
  return (
    <>
      <h1>{say("pathways.title")}</h1>
      <p className="lead">{say("pathways.lead")}</p>
      {names.length > 1 ? (
        <label className="inline">
          {say("poc.choose")}
          <select value={name ?? ""} onChange={(event) => change({ run: event.target.value, point: null, by: null })}>
            {names.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      ) : null}
      {name ? <Run key={name} name={name} /> : <p>{say("poc.none")}</p>}
    </>
  );
}

function Run({ name }: { name: string }) {
  const found = useQuery({
    queryKey: ["pathways", name],
    queryFn: ({ signal }) => get<Pathways>(runPath(name, "/pathways"), {}, signal),
  });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  return (
    <>
      <Lacking found={found.data} />
      {found.data.layers.length ? <Shown found={found.data} /> : null}
    </>
  );
}

/** What the run does not hold, and the command that makes it. */
function Lacking({ found }: { found: Pathways }) {
  const { say } = useWords();
  if (!found.missing.length) return null;
  return (
    <div className="notice">
      {found.missing.map((one) => (
        <p key={one}>{say(`pathways.missing.${one}`)}</p>
      ))}
      <Command lines={[`sparsepath poc TABLE.csv --out ${quoted(found.run)}`]} />
    </div>
  );
}

function Shown({ found }: { found: Pathways }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const { points } = found;
  const of = (name: string | null) => points.find((one) => one.name === name);
  const point = of(asked.get("point")) ?? of(found.recommended) ?? points.at(-1) ?? null;
  const methods = found.importance.map((one) => one.method);
  const method = methods.find((one) => one === asked.get("by")) ?? methods[0] ?? null;
  const view = VIEWS.find((one) => one === asked.get("view")) ?? "grid";
  const layers = layersOf(found, point, method);
  return (
    <>
      {point ? (
        <PointSlider found={found} point={point} layers={layers} choose={(name) => change({ point: name })} />
      ) : null}
      <section>
        <h2>{point ? say("pathways.parts", { name: point.name }) : say("pathways.parts.full")}</h2>
        <div className="row views">
          <fieldset>
            <legend>{say("pathways.view")}</legend>
            {VIEWS.map((one) => (
              <label key={one} className="radio">
                <input type="radio" name="view" checked={one === view} onChange={() => change({ view: one })} />
                {say(`pathways.view.${one}`)}
              </label>
            ))}
          </fieldset>
          {methods.length > 1 ? (
            <label>
              {say("pathways.by")}
              <select value={method ?? ""} onChange={(event) => change({ by: event.target.value })}>
                {methods.map((one) => {
                  const word = `pathways.by.${one}`;
                  return (
                    <option key={one} value={one}>
                      {isWord(word) ? say(word) : one}
                    </option>
                  );
                })}
              </select>
            </label>
          ) : null}
        </div>
        <p className="legend">
          <span>
            <i className="swatch-scale" aria-hidden="true" /> {say("pathways.legend.importance")}
          </span>
          {view === "grid" ? <span>
            <i className="swatch-gone" aria-hidden="true" /> {say("pathways.legend.gone")}
          </span> : null}
        </p>
        {view === "grid" ? <PartsGrid layers={layers} /> : <PartsGraph layers={layers} />}
        <details>
          <summary>{say("pathways.table")}</summary>
          <PartsTable layers={layers} />
        </details>
      </section>
      {found.removal.length ? (
        <section>
          <h2>{say("pathways.removal")}</h2>
          <p>{say("pathways.removal.about")}</p>
          <RemovalTable found={found} />
        </section>
      ) : null}
      {found.unplaced.length ? (
        <section>
          <h2>{say("pathways.unplaced")}</h2>
          <ul>
            {found.unplaced.map((one) => (
              <li key={one.name}>
                <strong>{one.name}</strong>: {say(`pathways.unplaced.${one.why}`)}
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </>
  );
}

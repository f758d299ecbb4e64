import type { Layer, Pathways } from "../../lib/parts";
import { useWords } from "../../words";
import { Cell } from "../CandidateTable";

/** The same as a table of words, a row a layer. */
export function PartsTable({ layers }: { layers: Layer[] }) {
  const { say, f } = useWords();
  const names = { layer: say("pathways.table.layer"), heads: say("pathways.table.heads"), strongest: say("pathways.table.strongest"), neurons: say("pathways.table.neurons") };
  return (
    <table className="cards-when-narrow" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {Object.entries(names).map(([key, name]) => (
            <th key={key} role="columnheader" scope="col" className={key === "layer" ? "" : "number"}>{name}</th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {layers.map((layer) => {
          const kept = layer.heads.filter((one) => one.fate === "stays").map((one) => one.number);
          const known = layer.heads.filter((one) => one.importance !== null);
          const [strongest] = [...known].sort((a, b) => (b.importance ?? 0) - (a.importance ?? 0));
          return (
            <tr key={layer.number} role="row">
              <th role="rowheader" scope="row" className="code">{layer.name}</th>
              <Cell name={names.heads}>
                {say("pathways.table.of", { n: kept.length, of: layer.heads.length })}
                {kept.length && kept.length < layer.heads.length ? <small>{kept.map((one) => `H${String(one).padStart(2, "0")}`).join(" ")}</small> : null}
              </Cell>
              <Cell name={names.strongest}>
                {strongest ? `H${String(strongest.number).padStart(2, "0")} (${f.percent(strongest.importance)})` : "\u2013"}
              </Cell>
              <Cell name={names.neurons}>
                {say("pathways.table.of", { n: f.integer(layer.neurons.kept), of: f.integer(layer.neurons.of) })}
              </Cell>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** Measured points of the removal curves: units left in an order, nothing was trained after. */
export function RemovalTable({ found }: { found: Pathways }) {
  const { say, f } = useWords();
  const fractions = [...new Set(found.removal.flatMap((one) => one.points.map((point) => point.fraction)))];
  fractions.sort((a, b) => a - b);
  const names = fractions.map((one) => f.percent(one, 0));
  return (
    <table className="cards-when-narrow" role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">{say("pathways.removal.order")}</th>
          {names.map((name) => (
            <th key={name} role="columnheader" scope="col" className="number">{name}</th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {found.removal.map((curve) => (
          <tr key={`${curve.order} ${curve.method}`} role="row">
            <th role="rowheader" scope="row">
              {say(`pathways.removal.${curve.order}`)} <small>{curve.method}</small>
            </th>
            {fractions.map((fraction, place) => {
              const point = curve.points.find((one) => one.fraction === fraction);
              return (
                <Cell key={fraction} name={names[place] ?? ""}>
                  {point ? f.percent(point.accuracy) : "\u2013"}
                  {point?.accuracy_ci95 ? (
                    <small>{f.percent(point.accuracy_ci95[0], 0)}{" \u2013 "}{f.percent(point.accuracy_ci95[1], 0)}</small>
                  ) : null}
                </Cell>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

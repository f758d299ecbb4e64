import type { Candidate } from "../api/client";
import { useAddress } from "../lib/address";
import { groupOf, latencyOf, paceOf } from "../lib/candidate";
import { useWords, type Key } from "../words";

interface Props {
  candidates: Candidate[];
  chosen: string;
  recommended: string;
  choose: (name: string) => void;
}

const COLUMNS = {
  name: { word: "poc.table.name", of: (one: Candidate) => one.name, isUp: true },
  accuracy: { word: "poc.table.accuracy", of: (one: Candidate) => one.quality.accuracy, isUp: false },
  change: { word: "poc.table.change", of: (one: Candidate) => one.relative.accuracy_change, isUp: false },
  latency: { word: "poc.table.latency", of: latencyOf, isUp: true },
  speed: { word: "poc.table.speed", of: (one: Candidate, full?: Candidate) => paceOf(one, full).ratio, isUp: false },
  size: { word: "poc.table.size", of: (one: Candidate) => one.cost.size_bytes, isUp: true },
} satisfies Record<string, { word: Key; of: (one: Candidate, full?: Candidate) => string | number; isUp: boolean }>;

type Column = keyof typeof COLUMNS;
const NAMES = Object.keys(COLUMNS) as Column[];

export function CandidateTable({ candidates, chosen, recommended, choose }: Props) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const wanted = asked.get("sort") ?? "latency";
  const isTurned = wanted.startsWith("-");
  const column = NAMES.find((one) => one === wanted.replace("-", "")) ?? "latency";
  const { of, isUp } = COLUMNS[column];
  const sign = isUp === isTurned ? -1 : 1;
  const full = candidates.find((one) => groupOf(one) === "full");
  const sorted = [...candidates].sort((a, b) => {
    const [one, two] = [of(a, full), of(b, full)];
    return sign * (one < two ? -1 : one > two ? 1 : 0);
  });
  return (
    <table className="cards-when-narrow" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {NAMES.map((name) => {
            const isSorted = name === column;
            const direction = (sign === 1) === true ? "ascending" : "descending";
            return (
              <th
                key={name}
                role="columnheader"
                scope="col"
                className={name === "name" ? "" : "number"}
                aria-sort={isSorted ? direction : "none"}
              >
                <button
                  className="plain"
                  title={say("poc.table.sort", { column: say(COLUMNS[name].word) })}
                  onClick={() => change({ sort: isSorted && !isTurned ? `-${name}` : name })}
                >
                  {say(COLUMNS[name].word)}
                  <span aria-hidden="true">{isSorted ? (sign === 1 ? " \u25b4" : " \u25be") : ""}</span>
                </button>
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {sorted.map((one) => (
          <tr key={one.name} role="row" className={one.name === chosen ? "chosen" : ""}>
            <th role="rowheader" scope="row">
              <button
                className="plain link"
                aria-pressed={one.name === chosen}
                onClick={() => choose(one.name)}
              >
                {one.name}
              </button>
              {one.name === recommended ? <span className="tag good">{say("poc.recommended")}</span> : null}
              {groupOf(one) === "control" ? <span className="tag">{say("poc.kind.control")}</span> : null}
            </th>
            <Cell name={say("poc.table.accuracy")}>
              {f.percent(one.quality.accuracy)}
              <small>
                {f.percent(one.quality.accuracy_ci95[0])}
                {" \u2013 "}
                {f.percent(one.quality.accuracy_ci95[1])}
              </small>
            </Cell>
            <Cell name={say("poc.table.change")}>
              {one === full ? "\u2013" : f.points(one.relative.accuracy_change)}
              {one !== full && one.relative.accuracy_change_ci95 ? (
                <small>{f.pointsRange(one.relative.accuracy_change_ci95)}</small>
              ) : null}
            </Cell>
            <Cell name={say("poc.table.latency")}>{f.ms(latencyOf(one))}</Cell>
            <Cell name={say("poc.table.speed")}>
              {full ? f.ratio(paceOf(one, full).ratio) : "\u2013"}
            </Cell>
            <Cell name={say("poc.table.size")}>{f.bytes(one.cost.size_bytes)}</Cell>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Cell({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <td role="cell" className="number" data-name={name}>
      <span>{children}</span>
    </td>
  );
}

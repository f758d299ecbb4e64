import type { Schemas } from "../../api/client";
import { writes, type Rollout } from "../../lib/govern";
import { isWord, useWords } from "../../words";
import { Cell } from "../CandidateTable";

type Gate = Schemas["GateOut"];

/** What decides about the rollout by rule, and where it stands. */
export function GateTable({ rollout }: { rollout: Rollout }) {
  const { say, f } = useWords();
  if (rollout.stage === "rolled-back") return <p className="quiet">{say("rollout.gates.over")}</p>;
  if (!rollout.gates.length) return <p className="quiet">{say("rollout.gates.none")}</p>;
  const name = (one: Gate) => {
    const words = [...(writes(rollout) ? [`gate.${one.gate}.tokens`] : []), `gate.${one.gate}`];
    const word = words.find(isWord);
    return word === undefined ? one.gate : say(word);
  };
  const write = (one: Gate, value: number | null) => {
    if (value === null) return "\u2013";
    if (one.gate === "latency_p95_ms") return f.ms(value);
    return one.gate === "accuracy" ? f.points(value) : f.percent(value);
  };
  const columns = ["value", "limit", "n", "verdict"] as const;
  return (
    <>
      <p>{say("rollout.gates.about")}</p>
      <table role="table" className="cards-when-narrow">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              {say("gate.name")}
            </th>
            {columns.map((one) => (
              <th key={one} role="columnheader" scope="col" className="number">
                {say(`gate.${one}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rollout.gates.map((one) => (
            <tr key={one.gate} role="row">
              <th role="rowheader" scope="row">
                {name(one)}
                <small>
                  {say(one.when_failed === "undo" ? "gate.undo" : "gate.ask")}{" "}
                  {say(one.when_passed === "promote" ? "gate.promote" : "gate.ask.promote")}
                </small>
              </th>
              <Cell name={say("gate.value")}>{write(one, one.value)}</Cell>
              <Cell name={say("gate.limit")}>{write(one, one.limit)}</Cell>
              <Cell name={say("gate.n")}>
                {f.integer(one.n)} / {f.integer(one.least)}
              </Cell>
              <Cell name={say("gate.verdict")}>
                <strong className={one.verdict === "failed" ? "bad" : one.verdict === "passed" ? "good" : ""}>
                  {say(`gate.${one.verdict}`)}
                </strong>
              </Cell>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

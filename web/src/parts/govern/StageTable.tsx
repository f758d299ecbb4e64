import type { Schemas } from "../../api/client";
import { brief, stageName, writes, type Rollout } from "../../lib/govern";
import { useWords } from "../../words";
import { Cell } from "../CandidateTable";

type Model = Schemas["ModelFigures"];

const STAGES = ["shadow", "canary", "full"] as const;

/** Every figure of both models in each stage. */
export function StageTable({ rollout }: { rollout: Rollout }) {
  const { say, f } = useWords();
  const known = (value: number | null, write: (value: number) => string) =>
    value === null ? "\u2013" : write(value);
  const cells = (model: Model) => ({
    requests: f.integer(model.requests),
    texts: f.integer(model.texts),
    tokens: f.integer(model.tokens),
    errors: f.integer(model.errors),
    p50: known(model.latency_ms_p50, f.ms),
    p95: known(model.latency_ms_p95, f.ms),
    cpu: `${f.number(model.cpu_s)} s`,
    memory: known(model.memory_bytes, f.bytes),
    energy: known(model.joules, (value) => `${f.number(value, 1)} J`),
    money: known(model.money, (value) => `${brief(value)} ${rollout.rules.currency ?? ""}`),
  });
  // A request is one text of a language model.
  const counted = writes(rollout) ? (["texts", "tokens"] as const) : (["requests", "texts"] as const);
  const columns = [...counted, "errors", "p50", "p95", "cpu", "memory", "energy", "money"] as const;
  const rows = STAGES.flatMap((stage) => {
    const found = rollout.stages[stage];
    return found ? (["old", "new"] as const).map((who) => ({ stage, who, told: cells(found[who]) })) : [];
  });
  if (!rows.length) return <p className="quiet">{say("rollout.unmeasured")}</p>;
  return (
    <table role="table" className="cards-when-narrow">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            {say("rollout.stages")}
          </th>
          {columns.map((one) => (
            <th key={one} role="columnheader" scope="col" className="number">
              {say(`figure.${one}`)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ stage, who, told }) => (
          <tr key={`${stage} ${who}`} role="row">
            <th role="rowheader" scope="row">
              {stageName(stage, say)}, {say(`rollout.${who}`)}
            </th>
            {columns.map((one) => (
              <Cell key={one} name={say(`figure.${one}`)}>
                {told[one]}
              </Cell>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

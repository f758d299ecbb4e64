import type { Limit } from "../../lib/govern";
import { useWords } from "../../words";
import { Cell } from "../CandidateTable";

const RANGES = ["set", "add", "scale"] as const;

/** What may be done to single neurons. */
export function LimitTable({ limits }: { limits: Limit[] }) {
  const { say } = useWords();
  return (
    <table role="table" className="cards-when-narrow">
      <caption className="unseen">{say("policy.neurons")}</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">
            {say("neurons.name")}
          </th>
          {RANGES.map((one) => (
            <th key={one} role="columnheader" scope="col" className="number">
              {say(`limit.${one}`)}
            </th>
          ))}
          <th role="columnheader" scope="col" className="number">
            {say("limit.suppress")}
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {limits.map((one) => (
          <tr key={one.neuron} role="row">
            <th role="rowheader" scope="row" className="code">
              {one.neuron}
            </th>
            {RANGES.map((range) => (
              <Cell key={range} name={say(`limit.${range}`)}>
                {told(one[range])}
              </Cell>
            ))}
            <Cell name={say("limit.suppress")}>{say(one.suppress ? "limit.yes" : "limit.no")}</Cell>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function told(range: readonly number[] | null | undefined): string {
  return range ? range.map((one) => String(one).replace("-", "\u2212")).join(" \u2026 ") : "\u2013";
}

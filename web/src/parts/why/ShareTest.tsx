import { mean } from "../../lib/mean";
import { useWords } from "../../words";

export interface ShareRow {
  name: string;
  /** One share of the margin, or one per random draw. */
  shares: number | readonly number[];
  isOwn?: boolean;
}

/** What remains of a margin in each setting; of random draws the mean and the range. */
export function ShareTest({ rows }: { rows: readonly ShareRow[] }) {
  const { say, f } = useWords();
  const told = (shares: ShareRow["shares"]): string => {
    if (typeof shares === "number") return f.percent(shares, 0);
    if (!shares.length) return f.percent(null);
    const low = f.percent(Math.min(...shares), 0);
    return `${f.percent(mean(shares), 0)} (${low} \u2026 ${f.percent(Math.max(...shares), 0)})`;
  };
  return (
    <table className="shares">
      <thead>
        <tr>
          <th scope="col">{say("inside.setting")}</th>
          <th scope="col">{say("inside.margin")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name} className={row.isOwn ? "own" : ""}>
            <th scope="row">{row.name}</th>
            <td>{told(row.shares)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

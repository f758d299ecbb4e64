import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, runPath, type Comparison, type RunDetails, type Schemas, type Which } from "../api/client";
import { useAddress } from "../lib/address";
import { useWords } from "../words";
import { Cell } from "./CandidateTable";
import { Loading, Trouble } from "./Notice";
import { Prose } from "./Prose";
import { RowList } from "./RowList";

interface Props {
  run: RunDetails;
  names: string[];
  first: string;
  second: string;
}

const SHOWN = 12;

const WHICH: Which[] = ["differ", "gained", "lost", "both-wrong", "all"];

/** Two candidates on the same rows: the verdict, where they differ, and every row. */
export function Compare({ run, names, first, second }: Props) {
  const { say } = useWords();
  const [, change] = useAddress();
  const found = useQuery({
    queryKey: ["compare", run.name, first, second],
    queryFn: ({ signal }) => get<Comparison>(runPath(run.name, "/compare"), { first, second }, signal),
    enabled: run.has_answers,
  });
  const side = (name: "first" | "second", value: string) => (
    <label>
      {say(`poc.compare.${name}`)}
      <select value={value} onChange={(event) => change({ [name]: event.target.value })}>
        {names.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
  if (!run.has_answers) {
    return (
      <p className="notice">
        <Prose text={say("poc.compare.none")} />
      </p>
    );
  }
  return (
    <>
      <div className="row">
        {side("first", first)}
        {side("second", second)}
      </div>
      {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data ? <Found run={run.name} found={found.data} labels={run.results?.data.labels ?? []} /> : null}
    </>
  );
}

function Found({ run, found, labels }: { run: string; found: Comparison; labels: string[] }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const which = WHICH.find((one) => one === asked.get("which")) ?? "differ";
  const label = asked.get("label");
  const whole = found.slices[0];
  if (!whole) return null;
  const [low, high] = whole.change_ci95;
  const verdict = low > 0 ? "better" : high < 0 ? "worse" : "unclear";
  return (
    <>
      <p className="verdict" aria-live="polite">
        {say(`poc.compare.verdict.${verdict}`, {
          first: found.first,
          second: found.second,
          n: f.integer(whole.n),
          change: f.points(whole.change),
          range: f.pointsRange(whole.change_ci95),
        })}
      </p>
      <h3>{say("poc.slices")}</h3>
      <Slices found={found} />
      <h3 id="rows">{say("poc.rows")}</h3>
      <div className="row">
        <label>
          {say("poc.rows.which")}
          <select value={which} onChange={(event) => change({ which: event.target.value })}>
            {WHICH.map((one) => (
              <option key={one} value={one}>
                {say(`poc.rows.${one}`)} ({f.integer(found.n_by_kind[one] ?? 0)})
              </option>
            ))}
          </select>
        </label>
        <label>
          {say("poc.rows.label")}
          <select value={label ?? ""} onChange={(event) => change({ label: event.target.value })}>
            <option value="">{say("poc.rows.any")}</option>
            {labels.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <RowList run={run} asked={{ first: found.first, second: found.second, which, label }} />
    </>
  );
}

function Slices({ found }: { found: Comparison }) {
  const { say, f } = useWords();
  const [, change] = useAddress();
  const [isWhole, setWhole] = useState(false);
  const labels = found.slices.filter((one) => one.kind === "label");
  // What differs most comes first, so that a table of many labels says something at its top.
  labels.sort((a, b) => b.gained + b.lost - (a.gained + a.lost) || b.n - a.n);
  const others = found.slices.filter((one) => one.kind === "length");
  const whole = found.slices.filter((one) => one.kind === "all");
  const shown = [...whole, ...others, ...(isWhole ? labels : labels.slice(0, SHOWN))];
  return (
    <>
    <table className="cards-when-narrow" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {[
            say("poc.slices.what"),
            say("poc.slices.rows"),
            found.first,
            found.second,
            say("poc.table.change"),
          ].map((name, number) => (
            <th key={number} role="columnheader" scope="col" className={number ? "number" : ""}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {shown.map((one) => (
          <tr key={`${one.kind} ${one.name}`} role="row">
            <th role="rowheader" scope="row">
              {one.kind === "label" ? (
                <button
                  className="plain link"
                  onClick={() => {
                    change({ label: one.name });
                    document.getElementById("rows")?.scrollIntoView();
                  }}
                >
                  {one.name}
                </button>
              ) : one.kind === "all" ? (
                say("poc.slices.all")
              ) : (
                say("poc.slices.length", { range: one.name.replace("-", "\u2013") })
              )}
            </th>
            <Cell name={say("poc.slices.rows")}>{f.integer(one.n)}</Cell>
            <Cell name={found.first}>{f.percent(one.first)}</Cell>
            <Cell name={found.second}>{f.percent(one.second)}</Cell>
            <Cell name={say("poc.table.change")}>
              <Change one={one} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
    {labels.length > SHOWN && !isWhole ? (
      <p>
        <button onClick={() => setWhole(true)}>{say("poc.slices.more", { n: labels.length })}</button>
      </p>
    ) : null}
    </>
  );
}

/** A difference with its interval, drawn where it is surely above or below zero. */
function Change({ one }: { one: Schemas["SliceFigures"] }) {
  const { f } = useWords();
  const [low, high] = one.change_ci95;
  const kind = low > 0 ? "good" : high < 0 ? "bad" : "";
  return (
    <>
      <span className={kind}>{f.points(one.change)}</span>
      <small>{f.pointsRange(one.change_ci95)}</small>
    </>
  );
}

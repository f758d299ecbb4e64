import { useQuery } from "@tanstack/react-query";
import { get, runPath, type RunDetails, type Schemas, type Start } from "../api/client";
import { useAddress } from "../lib/address";
import { fulfil, isAsked, toCompare, wishOf } from "../lib/candidate";
import { CandidateTable } from "../parts/CandidateTable";
import { Compare } from "../parts/Compare";
import { Loading, Trouble } from "../parts/Notice";
import { Scatter } from "../parts/Scatter";
import { WishPanel } from "../parts/WishPanel";
import { useWords } from "../words";

export default function PocScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const runs = useQuery({
    queryKey: ["runs"],
    queryFn: ({ signal }) => get<Schemas["RunList"]>("/runs", {}, signal),
  });
  const names = runs.data?.runs.map((run) => run.name) ?? [];
  const name = asked.get("run") ?? names[0] ?? null;
  if (runs.error) return <Trouble error={runs.error} retry={() => void runs.refetch()} />;
  if (!runs.data) return <Loading />;
  return (
    <>
      <h1>{say("poc.title")}</h1>
      {names.length > 1 ? (
        <label className="inline">
          {say("poc.choose")}
          <select
            value={name ?? ""}
            onChange={(event) =>
              change({
                run: event.target.value,
                ...{ acc: null, ms: null, mb: null, first: null, second: null, label: null },
              })
            }
          >
            {names.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      ) : null}
      {name ? <Run key={name} name={name} start={start} /> : <p>{say("poc.none")}</p>}
    </>
  );
}

function Run({ name }: { name: string; start: Start }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const run = useQuery({
    queryKey: ["run", name],
    queryFn: ({ signal }) => get<RunDetails>(runPath(name), {}, signal),
    refetchInterval: (query) => (query.state.data?.status === "running" ? 5000 : false),
  });
  if (run.error) return <Trouble error={run.error} retry={() => void run.refetch()} />;
  if (!run.data) return <Loading />;
  const { results } = run.data;
  if (!results?.candidates?.length) {
    return (
      <p className="notice">
        {run.data.status === "failed"
          ? say("poc.failed", { why: run.data.error ?? "" })
          : say("poc.unfinished")}
      </p>
    );
  }
  const candidates = results.candidates;
  const fallback = results.recommended?.name ?? candidates[0]?.name ?? "";
  const full = candidates.find((one) => one.kind === "full" && one.precision !== "int8");
  const wish = wishOf(asked);
  const met = isAsked(wish) ? fulfil(candidates, wish)?.candidate : undefined;
  const second = asked.get("second") ?? toCompare(candidates, met?.name ?? fallback);
  const compare = (chosen: string) => change({ second: chosen });
  return (
    <>
      <p className="quiet">
        {say("poc.facts", {
          rows: f.integer(results.data.rows_test),
          labels: results.data.labels.length,
          date: run.data.created_utc ? f.date(run.data.created_utc) : name,
        })}
      </p>
      <WishPanel run={run.data} candidates={candidates} recommended={fallback} />
      <section>
        <h2>{say("poc.chart")}</h2>
        <Scatter candidates={candidates} chosen={second} choose={compare} wish={wish} />
      </section>
      <section>
        <h2>{say("poc.table")}</h2>
        <CandidateTable candidates={candidates} chosen={second} choose={compare} recommended={fallback} />
      </section>
      <section id="compare">
        <h2>{say("poc.compare")}</h2>
        <Compare
          run={run.data}
          names={candidates.map((one) => one.name)}
          first={asked.get("first") ?? full?.name ?? candidates[0]?.name ?? ""}
          second={second}
        />
      </section>
    </>
  );
}

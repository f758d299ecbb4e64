import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { get, post } from "../../api/client";
import { hasEnded, lookAgain, type Job, type Training } from "../../api/jobs";
import { useWords } from "../../words";
import { Loading, Trouble } from "../Notice";
import { LossChart } from "./LossChart";
import { Sites } from "./Sites";

const HAND_MS = 5000;
const isGoing = (one: Training): boolean =>
  !one.curve.events.some((event) => event.what === "finished" || event.what === "diverged");

function useTraining(id: string | null) {
  return useQuery({
    queryKey: ["training", id],
    enabled: id !== null,
    queryFn: ({ signal }) => get<Training>(`/trainings/${encodeURIComponent(id!)}`, {}, signal),
    refetchInterval: ({ state: { data } }) =>
      data?.job ? lookAgain(data.job) : data && isGoing(data) ? HAND_MS : false,
  });
}

/** How a training goes, beside another one where that is chosen. */
export function OneTraining({ id, beside }: { id: string; beside: string | null }) {
  const { say, f } = useWords();
  const found = useTraining(id);
  const other = useTraining(beside);
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const { curve, job, name } = found.data;
  const last = curve.steps.at(-1);
  const facts: [string, string][] = [
    [say("train.step"), `${f.integer(curve.step)}${curve.of ? ` / ${f.integer(curve.of)}` : ""}`],
    [say("train.loss"), f.number(last?.loss_nats, 3)],
    [say("train.rate"), last ? last.lr.toExponential(2) : f.number(null)],
    [say("train.speed"), curve.tokens_per_s === null ? f.number(null) : f.integer(curve.tokens_per_s)],
    [say("train.spent"), f.duration(curve.wall_s)],
    [say("train.left"), curve.left_s === null ? f.number(null) : f.duration(curve.left_s)],
  ];
  const lines = [{ name, curve }];
  if (other.data) lines.push({ name: other.data.name, curve: other.data.curve });
  return (
    <>
      <section>
        <h2>
          {name}{" "}
          <span className={job?.state === "done" ? "tag good" : "tag"}>
            {job ? say(`train.state.${job.state}`) : say("train.hand")}
          </span>
        </h2>
        {job ? <Controls job={job} /> : <p className="quiet">{say("train.hand.about")}</p>}
        {job?.told ? (
          <pre className="told-log" tabIndex={0} role="region" aria-label={job.name}>
            {job.told}
          </pre>
        ) : null}
        <div className="figures tight">
          {facts.map(([what, value]) => (
            <p key={what}>
              <strong>{value}</strong>
              <small>{what}</small>
            </p>
          ))}
        </div>
        {other.error ? <Trouble error={other.error} /> : null}
        <LossChart lines={lines} />
        {curve.events.length ? (
          <details>
            <summary>{say("train.events")}</summary>
            <ul>
              {curve.events.map((one, place) => (
                <li key={place}>
                  {say("train.event", { step: f.integer(one.step), what: one.what })}
                  {one.time ? <span className="quiet"> {f.date(one.time)}</span> : null}
                </li>
              ))}
            </ul>
          </details>
        ) : null}
      </section>
      <Sites curve={curve} />
    </>
  );
}

function Controls({ job }: { job: Job }) {
  const { say } = useWords();
  const client = useQueryClient();
  const act = useMutation({
    mutationFn: (what: string) => post(`/jobs/${job.id}/${what}`, {}),
    onSettled: () => client.invalidateQueries({ queryKey: ["training", job.id] }),
  });
  if (hasEnded(job)) return null;
  const isWorking = job.state === "running" || job.state === "queued";
  return (
    <>
      <div className="row">
        {job.state === "paused" ? (
          <button className="primary" onClick={() => act.mutate("resume")}>
            {say("train.resume")}
          </button>
        ) : (
          <button disabled={!isWorking || act.isPending} onClick={() => act.mutate("pause")}>
            {say("train.pause")}
          </button>
        )}
        <button disabled={job.state === "cancelling"} onClick={() => act.mutate("cancel")}>
          {say("train.cancel")}
        </button>
      </div>
      {act.error ? <Trouble error={act.error} /> : null}
    </>
  );
}

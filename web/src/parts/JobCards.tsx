import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "wouter";
import { get, post, type Schemas } from "../api/client";
import { hasEnded, type Job } from "../api/jobs";
import { useWords } from "../words";
import { Trouble } from "./Notice";

const N_SHOWN = 8;

interface Kind {
  /** As the server calls it. */
  kind: Job["kind"];
  /** What a finished job made. */
  linkOf: (job: Job) => string;
  /** What to do after a failure. */
  failed: string;
}

/** Jobs of one kind that were begun from the page, the newest first, as they go. */
export function JobCards({ kind, linkOf, failed }: Kind) {
  const jobs = useQuery({
    queryKey: ["jobs", kind],
    queryFn: ({ signal }) => get<Schemas["JobsOut"]>("/jobs", {}, signal),
    refetchInterval: (query) =>
      query.state.data?.jobs.some((one) => one.kind === kind && !hasEnded(one)) ? 1000 : false,
  });
  if (jobs.error) return <Trouble error={jobs.error} retry={() => void jobs.refetch()} />;
  const found = (jobs.data?.jobs ?? []).filter((one) => one.kind === kind);
  if (!found.length) return null;
  return (
    <ul className="cards" aria-live="polite">
      {found
        .slice(-N_SHOWN)
        .reverse()
        .map((one) => (
          <JobCard key={one.id} job={one} to={linkOf(one)} failed={failed} />
        ))}
    </ul>
  );
}

function JobCard({ job, to, failed }: { job: Job; to: string; failed: string }) {
  const { say, f } = useWords();
  const client = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => post(`/jobs/${job.id}/cancel`, {}),
    onSettled: () => void client.invalidateQueries({ queryKey: ["jobs"] }),
  });
  const at = job.progress;
  return (
    <li className="card">
      <p className="card-title">
        {job.state === "done" ? (
          <Link href={to}>{job.name}</Link>
        ) : (
          job.name
        )}
        <span className={job.state === "done" ? "tag good" : "tag"}>
          {say(`train.state.${job.state}`)}
        </span>
      </p>
      {at && !hasEnded(job) ? (
        <>
          <progress aria-label={at.stage} value={at.step - 1} max={at.of} />
          <p>{`${at.step}/${at.of} ${at.stage}: ${at.told}`}</p>
        </>
      ) : null}
      {job.told ? <pre className="told-log" tabIndex={0} role="region" aria-label={job.name}>{job.told}</pre> : null}
      {job.state === "failed" ? <p className="quiet">{failed}</p> : null}
      <p className="quiet">{f.date(job.created)}</p>
      {hasEnded(job) ? null : (
        <button disabled={job.state === "cancelling"} onClick={() => cancel.mutate()}>
          {say("train.cancel")}
        </button>
      )}
      {cancel.error ? <Trouble error={cancel.error} /> : null}
    </li>
  );
}

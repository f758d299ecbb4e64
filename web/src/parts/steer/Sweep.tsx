import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, type Schemas, type Start } from "../../api/client";
import type { Steering, SweepOut } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { editOf, isName } from "../../lib/edit";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { SweepResult } from "./SweepResult";

const MOST_BYTES = 900_000;
const N_EARLIER = 8;
const ENDED = ["done", "failed", "cancelled"];

/** Measure several strengths of the neuron of the form; a job of the server does it. */
export function Sweep({ steering, start }: { steering: Steering; start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const id = asked.get("sweep");
  const lack = steering.lacks.find((one) => one.what === "sweep");
  if (start.role !== "operator" && start.role !== "admin") return <p>{say("steer.role")}</p>;
  if (lack) return <p className="notice">{`${lack.why}. ${say("trouble.fix", { fix: lack.fix })}`}</p>;
  return (
    <>
      <Form steering={steering} labels={start.model.labels} begun={(one) => change({ sweep: one })} />
      {id ? <Going key={id} id={id} /> : null}
      <Earlier shown={id} open={(one) => change({ sweep: one })} />
    </>
  );
}

/** Measurements of before, the newest first. */
function Earlier({ shown, open }: { shown: string | null; open: (id: string) => void }) {
  const { say, f } = useWords();
  const jobs = useQuery({
    queryKey: ["jobs", shown],
    queryFn: ({ signal }) => get<Schemas["JobsOut"]>("/jobs", {}, signal),
  });
  const found = (jobs.data?.jobs ?? [])
    .filter((one) => one.kind === "steering-sweep" && one.id !== shown)
    .slice(-N_EARLIER)
    .reverse();
  if (!found.length) return null;
  return (
    <details>
      <summary>{say("steer.sweep.earlier")}</summary>
      <ul className="earlier">
        {found.map((one) => (
          <li key={one.id}>
            <button type="button" className="plain link" onClick={() => open(one.id)}>
              {one.name}
            </button>{" "}
            <span className="quiet">
              {f.date(one.created)}, {say(`steer.job.${one.state}`)}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}

interface FormProps {
  steering: Steering;
  labels: string[];
  begun: (id: string) => void;
}

function Form({ steering, labels, begun }: FormProps) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const edit = editOf(asked);
  const isClassifier = steering.kind === "classifier";
  const [strengths, setStrengths] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const usual = edit.mode === "scale" ? "0,0.5,2,3,4" : "0.5x,1x,2x,3x,4x";
  const isOff = edit.mode === "suppress";
  const words = asked.get("words") ?? "";
  const goal = asked.get("goal") === "less" ? "less" : "more";
  const target = asked.get("target") ?? labels[0] ?? "";
  const begin = useMutation({
    mutationFn: async () => {
      const common = {
        neurons: [edit.neuron.trim()],
        operation: isOff ? "set" : edit.mode,
        strengths: isOff ? "0" : strengths || usual,
        goal,
        use: asked.get("use"),
      };
      if (!isClassifier) {
        return post<SweepOut>("/steering/sweeps", {
          ...common,
          words: words.split(",").map((one) => one.trim()).filter(Boolean),
          positions: edit.place === "slice" ? edit.slice : edit.place,
          dense_sites: asked.get("dense") === "1",
        });
      }
      if (!file) throw new Error(say("steer.sweep.file.none"));
      if (file.size > MOST_BYTES) throw new Error(say("steer.sweep.file.large"));
      const ending = file.name.toLowerCase().split(".").at(-1);
      return post<SweepOut>("/steering/sweeps", {
        ...common,
        table: await file.text(),
        format: ending === "tsv" || ending === "jsonl" ? ending : "csv",
        target,
        sources: asked.get("source") ? [asked.get("source")] : [],
      });
    },
    onSuccess: (told) => begun(told.job.id),
  });
  const isReady = edit.neuron.trim() !== "" && (isClassifier ? file !== null : words.trim() !== "");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        begin.mutate();
      }}
    >
      <div className="row">
        {isClassifier ? (
          <>
            <label className="wide">
              {say("steer.sweep.file")}
              <input
                type="file"
                accept=".csv,.tsv,.jsonl"
                onChange={(event) => setFile(event.target.files?.[0] ?? null)}
              />
            </label>
            <label>
              {say("steer.sweep.source")}
              <select
                value={asked.get("source") ?? ""}
                onChange={(event) => change({ source: event.target.value })}
              >
                <option value="">{say("steer.sweep.source.any")}</option>
                {labels.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
            <label>
              {say(goal === "more" ? "steer.sweep.target" : "steer.sweep.target.less")}
              <select value={target} onChange={(event) => change({ target: event.target.value })}>
                {labels.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
          </>
        ) : (
          <label className="wide">
            {say("steer.sweep.words")}
            <input
              value={words}
              placeholder={say("steer.sweep.words.hint")}
              onChange={(event) => change({ words: event.target.value })}
            />
          </label>
        )}
        <label>
          {say("steer.sweep.goal")}
          <select
            value={goal}
            onChange={(event) => change({ goal: event.target.value === "less" ? "less" : null })}
          >
            <option value="more">{say("steer.sweep.goal.more")}</option>
            <option value="less">{say("steer.sweep.goal.less")}</option>
          </select>
        </label>
        {isOff ? null : (
          <label>
            {say("steer.sweep.strengths")}
            <input
              value={strengths}
              placeholder={usual}
              onChange={(event) => setStrengths(event.target.value)}
            />
          </label>
        )}
      </div>
      <p className="quiet">
        {say(isClassifier ? "steer.sweep.about.classifier" : "steer.sweep.about")}{" "}
        {isOff || edit.mode === "scale" ? null : say("steer.sweep.times")}
      </p>
      <button type="submit" disabled={begin.isPending || !isReady}>
        {say(begin.isPending ? "steer.sweep.sending" : "steer.sweep.begin")}
      </button>
      {isReady ? null : <p className="quiet">{say("steer.sweep.missing")}</p>}
      {isName(edit.neuron) || !edit.neuron ? null : <p className="quiet">{edit.neuron}</p>}
      {begin.error ? <Trouble error={begin.error} /> : null}
    </form>
  );
}

/** A sweep that runs, or what it found. */
function Going({ id }: { id: string }) {
  const { say } = useWords();
  const [, change] = useAddress();
  const found = useQuery({
    queryKey: ["sweep", id],
    queryFn: ({ signal }) => get<SweepOut>(`/steering/sweeps/${encodeURIComponent(id)}`, {}, signal),
    refetchInterval: ({ state }) =>
      state.error || (state.data && ENDED.includes(state.data.job.state)) ? false : 1000,
  });
  const cancel = useMutation({ mutationFn: () => post<object>(`/jobs/${id}/cancel`, {}) });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return null;
  const { job, n_points, of } = found.data;
  if (job.state === "done") return <SweepResult found={found.data} />;
  if (job.state === "failed") {
    return (
      <div className="notice" role="alert">
        <p>
          <strong>{say("steer.sweep.failed")}</strong>
        </p>
        <pre className="log" tabIndex={0}>
          {job.told}
        </pre>
      </div>
    );
  }
  if (job.state === "cancelled") return <p role="status">{say("steer.sweep.cancelled")}</p>;
  return (
    <div role="status">
      <p>
        {job.state === "queued"
          ? say("steer.sweep.queued")
          : say("steer.sweep.going", { n: n_points, of })}
      </p>
      <progress max={of} value={n_points} aria-label={say("steer.sweep")} />
      <p className="row">
        <button
          type="button"
          disabled={cancel.isPending || job.state === "cancelling"}
          onClick={() => cancel.mutate()}
        >
          {say("steer.stop")}
        </button>
        <button type="button" className="plain" onClick={() => change({ sweep: null })}>
          {say("app.close")}
        </button>
      </p>
    </div>
  );
}

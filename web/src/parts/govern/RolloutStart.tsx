import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, type Schemas, type Start } from "../../api/client";
import type { RolloutState } from "../../lib/govern";
import { useWords } from "../../words";
import { Deed } from "../Deed";
import { Loading, Trouble } from "../Notice";
import { Field } from "./PolicyForm";

type Beside = Schemas["ModelBeside"];

/** Limits that are typed in other units than they are sent. */
const GATES = [
  { name: "agreement", unit: 0.01 },
  { name: "accuracy", unit: 0.01 },
  { name: "latency_p95_ms", unit: 1 },
  { name: "errors", unit: 0.01 },
] as const;

/** Begin a rollout with a model that lies beside the one that answers. */
export function RolloutStart({ start }: { start: Start }) {
  const { say } = useWords();
  const found = useQuery({
    queryKey: ["rollout", "models"],
    queryFn: ({ signal }) => get<Schemas["ModelsBeside"]>("/rollout/models", {}, signal),
    staleTime: 0,
  });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const own = found.data.models.find((one) => one.answers);
  const labels = JSON.stringify([...(own?.labels ?? start.model.labels)].sort());
  const fit = found.data.models.filter(
    (one) => JSON.stringify([...one.labels].sort()) === labels && !(one.answers && one.precisions.length < 2),
  );
  if (!fit.length) return <p className="notice">{say("rollout.begin.none")}</p>;
  return <Form start={start} models={fit} />;
}

function Form({ start, models }: { start: Start; models: Beside[] }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [model, setModel] = useState("");
  const [precision, setPrecision] = useState<"fp32" | "int8">("fp32");
  const [typed, setTyped] = useState<Record<string, string>>({ share: "10" });
  const [drift, setDrift] = useState(false);
  const chosen = models.find((one) => one.name === model);
  const set = (name: string, value: string) => setTyped({ ...typed, [name]: value });
  const begin = useMutation({
    mutationFn: () => {
      const limits = GATES.flatMap(({ name, unit }) =>
        typed[name] ? [[name, { limit: Number(typed[name]) * unit }] as const] : [],
      );
      const gates = { ...Object.fromEntries(limits), ...(drift ? { drift: {} } : {}) };
      const price = typed["price"] ? { price_per_cpu_hour: Number(typed["price"]) } : {};
      const share = Number(typed["share"]) / 100;
      const rules = { share, gates, currency: typed["currency"] ?? "", ...price };
      return post<RolloutState>("/rollout/start", { model, precision, rules });
    },
    onSuccess: (state) => queries.setQueryData(["rollout"], state),
  });
  const number = (name: string) => ({
    type: "number",
    min: 0,
    step: "any",
    value: typed[name] ?? "",
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => set(name, event.target.value),
  });
  return (
    <form className="say wide-form" onSubmit={(event) => event.preventDefault()}>
      <div className="pair">
        <Field name={say("rollout.model")}>
          <select
            value={model}
            onChange={(event) => {
              const one = models.find((other) => other.name === event.target.value);
              setModel(event.target.value);
              setPrecision(one?.precisions[0] ?? "fp32");
            }}
          >
            <option value="">{say("rollout.model.choose")}</option>
            {models.map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
          </select>
        </Field>
        <Field name={say("rollout.precision")}>
          <select
            value={precision}
            onChange={(event) => setPrecision(event.target.value === "int8" ? "int8" : "fp32")}
          >
            {(chosen?.precisions ?? ["fp32" as const]).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </Field>
      </div>
      <details>
        <summary>{say("rollout.rules")}</summary>
        <p className="quiet">{say("rollout.rules.about")}</p>
        <div className="pair">
          <Field name={say("rollout.share")}>
            <input {...number("share")} max={100} />
          </Field>
          {GATES.map(({ name }) => (
            <Field key={name} name={say(`rule.${name}`)}>
              <input {...number(name)} />
            </Field>
          ))}
          <Field name={say("rule.price")}>
            <input {...number("price")} />
          </Field>
          <Field name={say("rule.currency")}>
            <input
              maxLength={8}
              value={typed["currency"] ?? ""}
              onChange={(event) => set("currency", event.target.value)}
            />
          </Field>
        </div>
        <label className="radio">
          <input type="checkbox" checked={drift} onChange={(event) => setDrift(event.target.checked)} />
          {say("rule.drift")}
        </label>
      </details>
      {begin.error ? <Trouble error={begin.error} /> : null}
      <Deed
        role={start.role}
        least="admin"
        why={model ? null : say("rollout.model.none")}
        act={() => begin.mutate()}
        isBusy={begin.isPending}
        look="primary"
      >
        {say("rollout.start")}
      </Deed>
    </form>
  );
}

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, type Schemas, type Start } from "../../api/client";
import type { RolloutState } from "../../lib/govern";
import { useWords } from "../../words";
import { Deed } from "../Deed";
import { Loading, Trouble } from "../Notice";
import { Field } from "./PolicyForm";
import { isClassifier } from "./queries";

type Beside = Schemas["ModelBeside"];
type Form = Beside["precisions"][number];

/** Limits that are typed in other units than they are sent. */
const GATES = [
  { name: "agreement", unit: 0.01, isOfLabels: false },
  { name: "accuracy", unit: 0.01, isOfLabels: true },
  { name: "latency_p95_ms", unit: 1, isOfLabels: false },
  { name: "errors", unit: 0.01, isOfLabels: false },
] as const;

/** A limit's name where both models write. */
const ruleOfTokens = (name: (typeof GATES)[number]["name"]) =>
  name === "latency_p95_ms" ? "rule.latency.tokens" : name === "agreement" ? "rule.agreement.tokens" : (`rule.${name}` as const);

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
  if (!fit.length) {
    const none = isClassifier(start) ? "rollout.begin.none" : "rollout.begin.none.writer";
    return <p className="notice">{say(none)}</p>;
  }
  return <Form start={start} models={fit} />;
}

function Form({ start, models }: { start: Start; models: Beside[] }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [model, setModel] = useState("");
  const [precision, setPrecision] = useState<Form>("fp32");
  const gates = GATES.filter((one) => isClassifier(start) || !one.isOfLabels);
  const [typed, setTyped] = useState<Record<string, string>>({ share: "10" });
  const [drift, setDrift] = useState(false);
  const forms: Form[] = models.find((one) => one.name === model)?.precisions ?? ["fp32"];
  const set = (name: string, value: string) => setTyped({ ...typed, [name]: value });
  const begin = useMutation({
    mutationFn: () => {
      const limits = gates.flatMap(({ name, unit }) =>
        typed[name] ? [[name, { limit: Number(typed[name]) * unit }] as const] : [],
      );
      const set = { ...Object.fromEntries(limits), ...(drift ? { drift: {} } : {}) };
      const price = typed["price"] ? { price_per_cpu_hour: Number(typed["price"]) } : {};
      const share = Number(typed["share"]) / 100;
      const rules = { share, gates: set, currency: typed["currency"] ?? "", ...price };
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
            onChange={(event) => setPrecision(forms.find((one) => one === event.target.value) ?? "fp32")}
          >
            {forms.map((one) => (
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
          {gates.map(({ name }) => (
            <Field key={name} name={say(isClassifier(start) ? `rule.${name}` : ruleOfTokens(name))}>
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
        {isClassifier(start) ? (
          <label className="radio">
            <input type="checkbox" checked={drift} onChange={(event) => setDrift(event.target.checked)} />
            {say("rule.drift")}
          </label>
        ) : null}
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

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, type Schemas, type Start } from "../../api/client";
import type { Preset, Steering } from "../../api/steer";
import { isNumber } from "../../lib/edit";
import { useWords } from "../../words";
import { Trouble } from "../Notice";

type Policies = Schemas["Policies"];
type PolicyOut = Schemas["PolicyOut"];

const ROLES = ["viewer", "reviewer", "operator", "admin"] as const;
const DAYS = 180;

interface Props {
  steering: Steering;
  preset: Preset;
  role: Start["role"];
}

/** Put a policy for a preset forward; somebody else approves it. */
export function AskApproval({ steering, preset, role }: Props) {
  const { say, f } = useWords();
  const client = useQueryClient();
  const [asked, setAsked] = useState(() => ({
    name: preset.name,
    uses: "",
    owner: "",
    note: preset.note,
    role: "viewer" as (typeof ROLES)[number],
    expires: inDays(DAYS),
  }));
  const [limits, setLimits] = useState<Record<string, [string, string]>>({});
  const known = useQuery({
    queryKey: ["policies"],
    queryFn: ({ signal }) => get<Policies>("/policies", {}, signal),
  });
  const propose = useMutation({
    mutationFn: () => post<PolicyOut>("/policies", content(known.data)),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["policies"] });
      await client.invalidateQueries({ queryKey: ["steering"] });
    },
  });
  if (role !== "operator" && role !== "admin") return <p>{say("steer.role")}</p>;
  const content = (told: Policies | undefined) => {
    const versions = (told?.policies ?? [])
      .filter((one) => one.policy.name === asked.name)
      .map((one) => one.policy.version);
    const neurons = preset.neurons.flatMap((neuron, place) => {
      const [low = "", high = ""] = limits[neuron] ?? [];
      const operation = preset.operations[place]!;
      if (!isNumber(low) || !isNumber(high) || operation === "suppress") return [];
      return [{ neuron, [operation]: [Number(low), Number(high)] }];
    });
    return {
      schema: 1,
      name: asked.name,
      version: 1 + Math.max(0, ...versions),
      owner: asked.owner,
      note: asked.note,
      model: steering.model.name,
      model_sha256: steering.weights_sha256,
      catalogue_sha256: steering.catalogue_sha256,
      uses: asked.uses.split(",").map((one) => one.trim()).filter(Boolean),
      role: asked.role,
      expires: asked.expires,
      presets: [{ name: preset.name, sha256: preset.sha256 }],
      neurons,
    };
  };
  const put = (part: Partial<typeof asked>) => setAsked({ ...asked, ...part });
  const ranged = preset.neurons.filter((_, place) => preset.operations[place] !== "suppress");
  const made = propose.data;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        propose.mutate();
      }}
    >
      <p>{say("steer.ask.about", { name: preset.name })}</p>
      <div className="row">
        <label>
          {say("steer.ask.name")}
          <input
            required
            pattern="[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"
            title={say("steer.save.name.about")}
            value={asked.name}
            onChange={(event) => put({ name: event.target.value })}
          />
        </label>
        <label className="wide">
          {say("steer.ask.uses")}
          <input
            required
            value={asked.uses}
            placeholder="draft-reply, summary"
            onChange={(event) => put({ uses: event.target.value })}
          />
        </label>
        <label>
          {say("steer.ask.owner")}
          <input
            required
            maxLength={64}
            value={asked.owner}
            onChange={(event) => put({ owner: event.target.value })}
          />
        </label>
        <label>
          {say("steer.ask.role")}
          <select
            value={asked.role}
            onChange={(event) => put({ role: ROLES.find((one) => one === event.target.value)! })}
          >
            {ROLES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          {say("steer.ask.expires")}
          <input
            type="date"
            required
            min={inDays(1)}
            value={asked.expires}
            onChange={(event) => put({ expires: event.target.value })}
          />
        </label>
        <label className="wide">
          {say("steer.save.note")}
          <input
            maxLength={200}
            value={asked.note}
            onChange={(event) => put({ note: event.target.value })}
          />
        </label>
      </div>
      {ranged.length ? (
        <fieldset className="neuron-limits">
          <legend>{say("steer.ask.limits")}</legend>
          {ranged.map((neuron) => {
            const [low = "", high = ""] = limits[neuron] ?? [];
            const set = (pair: [string, string]) => setLimits({ ...limits, [neuron]: pair });
            return (
              <div key={neuron} className="row small">
                <span className="code">{neuron}</span>
                <label>
                  {say("steer.ask.from")}
                  <input
                    inputMode="decimal"
                    value={low}
                    onChange={(event) => set([event.target.value, high])}
                  />
                </label>
                <label>
                  {say("steer.ask.to")}
                  <input
                    inputMode="decimal"
                    value={high}
                    onChange={(event) => set([low, event.target.value])}
                  />
                </label>
              </div>
            );
          })}
        </fieldset>
      ) : null}
      <button type="submit" disabled={propose.isPending || !known.data}>
        {say("steer.ask.send")}
      </button>
      {propose.error ? <Trouble error={propose.error} /> : null}
      {known.error ? <Trouble error={known.error} /> : null}
      {made ? (
        <p className="good" role="status">
          {say("steer.asked", {
            name: made.policy.name,
            version: made.policy.version,
            date: f.date(made.policy.expires),
          })}
        </p>
      ) : null}
    </form>
  );
}

/** A date so many days from now, as date fields have it. */
function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { cloneElement, useId, useState, type ReactElement } from "react";
import { Link } from "wouter";
import { get, post, type Schemas, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import type { PolicyOut } from "../../lib/govern";
import { begun, draftOf, EMPTY_LINE, written, type Draft } from "../../lib/policyDraft";
import { ROLES } from "../../lib/roles";
import { useWords } from "../../words";
import { Gated } from "../Deed";
import { Hash } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { LimitFields } from "./LimitFields";
import { isClassifier } from "./queries";

/** Put a policy forward: filled in here, or read from its file. */
export function PolicyForm({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <>
      <p>
        <Link href={linkTo("/govern/policies")}>{say("policy.back")}</Link>
      </p>
      <h1>{say("draft.title")}</h1>
      {isClassifier(start) ? (
        <p className="notice">{say("policies.language")}</p>
      ) : (
        <Gated role={start.role} least="operator">
          <Begun />
        </Gated>
      )}
    </>
  );
}

function Begun() {
  const found = useQuery({
    queryKey: ["policies", "draft"],
    queryFn: ({ signal }) => get<Schemas["PolicyStart"]>("/policies/draft", {}, signal),
    staleTime: 0,
  });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  return <Form start={found.data} />;
}

function Form({ start }: { start: Schemas["PolicyStart"] }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => begun(start, asked.get("preset")));
  const set = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const read = useMutation({
    mutationFn: async (file: File) => {
      const toml = await file.text();
      return post<Schemas["PolicyRead"]>("/policies/read", { toml });
    },
    onSuccess: ({ policy }) => setDraft(draftOf(policy)),
  });
  const propose = useMutation({
    mutationFn: () => post<PolicyOut>("/policies", written(draft)),
    onSuccess: async ({ policy }) => {
      await queries.invalidateQueries({ queryKey: ["policies"] });
      change({ new: null, preset: null, policy: policy.name, version: policy.version });
    },
  });
  const next = (start.versions[draft.name.trim()] ?? 0) + 1;
  return (
    <>
      <p>{say("draft.about")}</p>
      <label className="file">
        {say("draft.file")}
        <input
          type="file"
          accept=".toml"
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file) read.mutate(file);
          }}
        />
      </label>
      {read.error ? <Trouble error={read.error} /> : null}
      {read.data?.policy.approval ? <p className="notice">{say("draft.approved")}</p> : null}
      <form
        className="say wide-form"
        onSubmit={(event) => {
          event.preventDefault();
          propose.mutate();
        }}
      >
        <div className="pair">
          <Field name={say("draft.name")} about={say("draft.name.about")}>
            <input
              required
              maxLength={64}
              value={draft.name}
              onChange={(event) => {
                const name = event.target.value;
                set({ name, version: (start.versions[name.trim()] ?? 0) + 1 });
              }}
            />
          </Field>
          <Field name={say("draft.version")} about={say("draft.version.about", { next })}>
            <input
              type="number"
              min={1}
              required
              value={draft.version}
              onChange={(event) => set({ version: Number(event.target.value) })}
            />
          </Field>
        </div>
        <div className="pair">
          <Field name={say("policy.owner")} about={say("draft.owner.about")}>
            <input
              required
              maxLength={64}
              value={draft.owner}
              onChange={(event) => set({ owner: event.target.value })}
            />
          </Field>
          <Field name={say("draft.expires")} about={say("draft.expires.about")}>
            <input
              type="date"
              required
              value={draft.expires.slice(0, 10)}
              onChange={(event) => set({ expires: event.target.value })}
            />
          </Field>
        </div>
        <div className="pair">
          <Field name={say("policy.uses")} about={say("draft.uses.about")}>
            <input required value={draft.uses} onChange={(event) => set({ uses: event.target.value })} />
          </Field>
          <Field name={say("policy.role")} about={say("draft.role.about")}>
            <select
              value={draft.role}
              onChange={(event) => {
                const role = ROLES.find((one) => one === event.target.value);
                if (role) set({ role });
              }}
            >
              {ROLES.map((one) => (
                <option key={one} value={one}>
                  {say(`role.${one}`)}
                </option>
              ))}
            </select>
          </Field>
        </div>
        <Field name={say("draft.note")}>
          <input maxLength={200} value={draft.note} onChange={(event) => set({ note: event.target.value })} />
        </Field>
        <Presets start={start} draft={draft} set={set} />
        <LimitFields
          lines={draft.neurons}
          set={(neurons) => set({ neurons })}
          add={() => set({ neurons: [...draft.neurons, EMPTY_LINE] })}
        />
        <p className="quiet">
          {say("draft.model", { model: draft.model })} <Hash of={draft.model_sha256} />
        </p>
        {propose.error ? <Trouble error={propose.error} /> : null}
        <button type="submit" className="primary" disabled={propose.isPending}>
          {say("draft.propose")}
        </button>
      </form>
    </>
  );
}

interface PresetsProps {
  start: Schemas["PolicyStart"];
  draft: Draft;
  set: (part: Partial<Draft>) => void;
}

/** Presets of the model, and those of a file that the model lacks. */
function Presets({ start, draft, set }: PresetsProps) {
  const { say } = useWords();
  const chosen = (name: string) => draft.presets.find((one) => one.name === name);
  const unknown = draft.presets.filter((one) => !start.presets.some((own) => own.name === one.name));
  return (
    <fieldset className="boxes">
      <legend>{say("draft.presets")}</legend>
      {start.presets.map((one) => (
        <label key={one.name} className="radio">
          <input
            type="checkbox"
            checked={chosen(one.name) !== undefined}
            onChange={(event) =>
              set({
                presets: event.target.checked
                  ? [...draft.presets, { name: one.name, sha256: one.sha256 }]
                  : draft.presets.filter((other) => other.name !== one.name),
              })
            }
          />
          <span>
            {one.name} <span className="quiet">{[one.edits, one.note].filter(Boolean).join(" \u00b7 ")}</span>
          </span>
        </label>
      ))}
      {unknown.map((one) => (
        <label key={one.name} className="radio">
          <input
            type="checkbox"
            checked
            onChange={() => set({ presets: draft.presets.filter((other) => other !== one) })}
          />
          <span>
            {one.name} <span className="bad">{say("draft.preset.unknown")}</span>
          </span>
        </label>
      ))}
      {start.presets.length ? null : <p className="quiet">{say("draft.presets.none")}</p>}
    </fieldset>
  );
}

interface FieldProps {
  name: string;
  about?: string;
  children: ReactElement<{ "aria-describedby"?: string }>;
}

/** A field with its name, and what is to be put into it. */
export function Field({ name, about, children }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label>
        {name}
        {about ? cloneElement(children, { "aria-describedby": id }) : children}
      </label>
      {about ? <small id={id}>{about}</small> : null}
    </div>
  );
}

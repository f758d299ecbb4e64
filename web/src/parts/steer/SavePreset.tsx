import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, Refusal, type Start } from "../../api/client";
import type { Preset } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import type { Plan } from "./plan";

/** Keep the edits in the model's folder. */
export function SavePreset({ plan, role }: { plan: Plan; role: Start["role"] }) {
  const { say } = useWords();
  const [, change] = useAddress();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [note, setNote] = useState("");
  const [replaces, setReplaces] = useState(false);
  const save = useMutation({
    mutationFn: () =>
      post<Preset>("/steering/presets", {
        name: name.trim(),
        note: note.trim(),
        steer: plan.edits,
        dense_sites: plan.denseSites,
        replace: replaces,
      }),
    onSuccess: async (kept) => {
      await client.invalidateQueries({ queryKey: ["steering"] });
      change({ approve: kept.name });
    },
  });
  if (role !== "operator" && role !== "admin") return <p>{say("steer.role")}</p>;
  const isThere = save.error instanceof Refusal && save.error.code === "preset_exists";
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <p>
        {plan.edits.length ? <code>{plan.edits.join("; ")}</code> : say("steer.save.nothing")}
      </p>
      <div className="row">
        <label>
          {say("steer.save.name")}
          <input
            required
            pattern="[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"
            title={say("steer.save.name.about")}
            value={name}
            onChange={(event) => {
              setName(event.target.value);
              setReplaces(false);
              save.reset();
            }}
          />
        </label>
        <label className="wide">
          {say("steer.save.note")}
          <input value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
        </label>
        <button type="submit" disabled={save.isPending || !plan.edits.length}>
          {say("steer.save")}
        </button>
      </div>
      {isThere || replaces ? (
        <label className="radio">
          <input
            type="checkbox"
            checked={replaces}
            onChange={(event) => setReplaces(event.target.checked)}
          />
          {say("steer.save.replace", { name })}
        </label>
      ) : null}
      {save.error ? <Trouble error={save.error} /> : null}
      {save.data ? (
        <p className="good" role="status">
          {say("steer.saved", { name: save.data.name })}
        </p>
      ) : null}
    </form>
  );
}

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { cataloguePath, post, type NeuronDetails, type Schemas } from "../api/client";
import { useWords } from "../words";
import { Trouble } from "./Notice";

interface Props {
  found: NeuronDetails;
  model: string;
  mayWrite: boolean;
}

const VERDICTS = ["agree", "disagree"] as const;

/** What people said of a neuron, and a form to say more. */
export function Remarks({ found, model, mayWrite }: Props) {
  const { say, f } = useWords();
  return (
    <>
      {found.remarks.length ? (
        <ul className="cards">
          {found.remarks.map((one, number) => (
            <li key={number} className="card">
              {one.label ? <p>{say("neuron.said.label", { label: one.label })}</p> : null}
              {one.note ? <p>{one.note}</p> : null}
              {one.verdict === "agree" || one.verdict === "disagree" ? (
                <p>{say(`neuron.said.${one.verdict}`)}</p>
              ) : null}
              <p className="quiet">
                {one.by} {"\u00b7"} {f.date(one.at)}
              </p>
            </li>
          ))}
        </ul>
      ) : (
        <p>{say("neuron.remarks.none")}</p>
      )}
      {mayWrite ? <Form model={model} neuron={found.row.name} /> : <p>{say("neuron.say.role")}</p>}
    </>
  );
}

function Form({ model, neuron }: { model: string; neuron: string }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [said, setSaid] = useState({ label: "", note: "", verdict: "" });
  const isSilent = !said.label.trim() && !said.note.trim() && !said.verdict;
  const send = useMutation({
    mutationFn: () =>
      post<Schemas["RemarkOut"]>(cataloguePath(model, "/remarks"), {
        neuron,
        label: said.label.trim() || null,
        note: said.note.trim() || null,
        verdict: said.verdict || null,
      }),
    onSuccess: async () => {
      setSaid({ label: "", note: "", verdict: "" });
      await queries.invalidateQueries({ queryKey: ["neuron", model, neuron] });
      await queries.invalidateQueries({ queryKey: ["neurons", model] });
    },
  });
  return (
    <form
      className="say"
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <h3>{say("neuron.say")}</h3>
      <fieldset>
        <legend>{say("neuron.say.verdict")}</legend>
        {[...VERDICTS, "" as const].map((verdict) => (
          <label key={verdict} className="radio">
            <input
              type="radio"
              name="verdict"
              checked={said.verdict === verdict}
              onChange={() => setSaid({ ...said, verdict })}
            />
            {say(verdict ? `neuron.say.${verdict}` : "neuron.say.silent")}
          </label>
        ))}
      </fieldset>
      <label>
        {say("neuron.say.label")}
        <input
          value={said.label}
          maxLength={200}
          onChange={(event) => setSaid({ ...said, label: event.target.value })}
        />
      </label>
      <label>
        {say("neuron.say.note")}
        <textarea
          rows={2}
          value={said.note}
          maxLength={2000}
          onChange={(event) => setSaid({ ...said, note: event.target.value })}
        />
      </label>
      {send.error ? <Trouble error={send.error} /> : null}
      <button type="submit" disabled={isSilent || send.isPending}>
        {say("neuron.say.send")}
      </button>
    </form>
  );
}

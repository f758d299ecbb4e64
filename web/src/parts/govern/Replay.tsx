import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { post, type Schemas, type Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { useWords } from "../../words";
import { Deed } from "../Deed";
import { Hash } from "../Moment";
import { Trouble } from "../Notice";
import { isClassifier } from "./queries";

type Told = Schemas["ReplayOut"];

interface Props {
  start: Start;
  seq: number;
  /** Whether the text lies beside the log; else somebody must bring it. */
  isKept: boolean;
}

/** Ask the model for a decision once more, and put both answers beside each other. */
export function Replay({ start, seq, isKept }: Props) {
  const { say } = useWords();
  const [text, setText] = useState("");
  const asked = useMutation({
    mutationFn: () => post<Told>(`/audit/${seq}/replay`, isKept ? {} : { text }),
  });
  const missing = isKept || text ? null : say("replay.bring");
  return (
    <>
      <p>{say("replay.about")}</p>
      {isKept ? null : (
        <label className="wide-field">
          {say("replay.text")}
          <textarea rows={3} value={text} onChange={(event) => setText(event.target.value)} />
          <small>{say("replay.text.about")}</small>
        </label>
      )}
      <Deed
        role={start.role}
        least="reviewer"
        why={isClassifier(start) ? missing : say("govern.classifiers")}
        act={() => asked.mutate()}
        isBusy={asked.isPending}
      >
        {say("replay.ask")}
      </Deed>
      {asked.error ? <Trouble error={asked.error} /> : null}
      {asked.data ? <Result told={asked.data} /> : null}
    </>
  );
}

function Result({ told }: { told: Told }) {
  const { say, f } = useWords();
  const differs = told.is_same_label ? "replay.other.probability" : "replay.other.label";
  return (
    <div aria-live="polite">
      <p className="verdict">
        <strong className={told.is_same ? "good" : "bad"}>
          {say(told.is_same ? "replay.same" : differs)}
        </strong>{" "}
        {told.is_same_model ? "" : say("replay.other.model")}
      </p>
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col">{say("replay.then")}</th>
            <th scope="col">{say("replay.now")}</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{say("replay.label")}</th>
            <td>{told.then.label}</td>
            <td>{told.now.label}</td>
          </tr>
          <tr>
            <th scope="row">{say("replay.probability")}</th>
            <td>{f.percent(told.then.probability, 4)}</td>
            <td>{f.percent(told.now.probability, 4)}</td>
          </tr>
          <tr>
            <th scope="row">{say("policy.model")}</th>
            {[told.then, told.now].map((one, place) => (
              <td key={place}>
                {one.model} ({one.precision}) <Hash of={one.sha256} />
              </td>
            ))}
          </tr>
        </tbody>
      </table>
      <p>
        <Link href={linkTo("/govern/audit", { record: told.record.seq })}>
          {say("replay.record", { number: told.record.seq })}
        </Link>
      </p>
    </div>
  );
}

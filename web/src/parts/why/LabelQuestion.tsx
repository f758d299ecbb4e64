import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { post, type Label, type Labels, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { keepInAddress, saveJson, textOfAddress } from "../../lib/save";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { TextBox } from "../TextBox";
import { Ablation } from "./Ablation";
import { Inside } from "./Inside";
import { WordShares } from "./WordShares";

interface Asked {
  text: string;
  against: string | null;
}

/** A text, its label and why. */
export function LabelQuestion({ start }: { start: Start }) {
  const { say } = useWords();
  const [query, change] = useAddress();
  const [text, setText] = useState(textOfAddress);
  const asked = useMutation({
    mutationFn: ({ text, against }: Asked) =>
      post<Labels>("/classify", { text, explain: true, ...(against ? { against } : {}) }),
  });
  const against = query.get("against");
  const ask = (how: Asked) => {
    keepInAddress(how.text);
    asked.mutate(how);
  };
  const { mutate } = asked;
  useEffect(() => {
    const first = textOfAddress();
    if (first) mutate({ text: first, against: new URLSearchParams(window.location.search).get("against") });
  }, [mutate]);
  const answer = asked.data?.answers[0];
  return (
    <>
      <form
        className="ask"
        onSubmit={(event) => {
          event.preventDefault();
          ask({ text, against });
        }}
      >
        <TextBox
          id="text"
          label={say("why.text")}
          placeholder={say("why.placeholder")}
          rows={4}
          value={text}
          change={setText}
        />
        <button className="primary" type="submit" disabled={asked.isPending}>
          {say(asked.isPending ? "why.asking" : "why.ask")}
        </button>
      </form>
      {asked.error ? <Trouble error={asked.error} /> : null}
      {answer && asked.data ? (
        <Answer
          key={asked.data.request}
          text={asked.variables.text}
          told={asked.data}
          answer={answer}
          labels={start.model.labels}
          contrast={(label) => {
            change({ against: label });
            ask({ text: asked.variables.text, against: label });
          }}
        />
      ) : null}
    </>
  );
}

interface AnswerProps {
  text: string;
  told: Labels;
  answer: Label;
  labels: string[];
  contrast: (label: string) => void;
}

function Answer({ text, told, answer, labels, contrast }: AnswerProps) {
  const { say, f } = useWords();
  const [test, setTest] = useState<object | null>(null);
  const [inside, setInside] = useState<object | null>(null);
  const ranked = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const other = ranked[1]?.[0] ?? "";
  const sure = answer.probability >= 0.9 ? "high" : answer.probability >= 0.6 ? "middle" : "low";
  const explanation = answer.explanation;
  return (
    <>
      <section aria-live="polite">
        <h2>{say("why.answer")}</h2>
        <p className="answer">
          {answer.label} <strong>{f.percent(answer.probability)}</strong>
        </p>
        <p>
          <strong className={sure === "low" ? "bad" : ""}>{say(`why.sure.${sure}`)}</strong>{" "}
          {say("why.margin", {
            margin: f.number(answer.uncertainty.margin * 100, 1),
            other,
            entropy: f.number(answer.uncertainty.entropy),
          })}
        </p>
        <details>
          <summary>{say("why.others")}</summary>
          <ul className="bars">
            {ranked.map(([label, p]) => (
              <li key={label}>
                <span>{label}</span>
                <span className="bar" aria-hidden="true">
                  <span style={{ width: `${p * 100}%` }} />
                </span>
                <span className="number">{f.percent(p)}</span>
              </li>
            ))}
          </ul>
        </details>
      </section>
      {explanation ? (
        <>
          <section>
            <h2>{say("why.words")}</h2>
            <label className="inline">
              {say("why.contrast")}
              <select value={explanation.against} onChange={(event) => contrast(event.target.value)}>
                {labels
                  .filter((label) => label !== answer.label)
                  .map((label) => (
                    <option key={label}>{label}</option>
                  ))}
              </select>
            </label>
            <WordShares text={text} label={answer.label} explanation={explanation} />
          </section>
          <section>
            <h2>{say("why.test")}</h2>
            <Ablation text={text} answer={answer} explanation={explanation} tell={setTest} />
          </section>
          <section>
            <h2>{say("inside.title")}</h2>
            <Inside text={text} label={answer.label} against={explanation.against} tell={setInside} />
          </section>
        </>
      ) : null}
      <section>
        <button onClick={() => save(told, text, answer, { test, inside })}>{say("why.save")}</button>
        <p className="quiet hash">
          {say("why.record", {
            seq: answer.record.seq,
            hash: answer.record.hash.slice(0, 16),
            model: told.model.name,
            sha: told.model.sha256.slice(0, 16),
          })}{" "}
          <Link href={linkTo("/govern/audit", { record: answer.record.seq })}>{say("why.record.open")}</Link>
        </p>
      </section>
    </>
  );
}

/** Save what was asked, said and tested, with the place of the answer in the audit log. */
function save(told: Labels, text: string, answer: Label, found: object): void {
  const card = { schema: 1, kind: "classification", text, request: told.request, model: told.model, answer };
  saveJson({ ...card, ...found }, `decision-${answer.record.seq}.json`);
}

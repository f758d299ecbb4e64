import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { post, type Label, type Labels, type Start } from "../api/client";
import { linkTo, useAddress } from "../lib/address";
import { Ablation } from "../parts/Ablation";
import { Command } from "../parts/Command";
import { Trouble } from "../parts/Notice";
import { TextBox } from "../parts/TextBox";
import { WordShares } from "../parts/WordShares";
import { useWords } from "../words";

interface Asked {
  text: string;
  against: string | null;
}

export default function WhyScreen({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <>
      <h1>{say("why.title")}</h1>
      {start.model.labels.length ? (
        <Question start={start} />
      ) : (
        <>
          <p>{say("why.none")}</p>
          <Command lines={["sparsepath serve runs/tickets"]} />
        </>
      )}
    </>
  );
}

/** The text is in the part of the address after `#`, which no browser sends to a server. */
function Question({ start }: { start: Start }) {
  const { say } = useWords();
  const [query, change] = useAddress();
  const [text, setText] = useState(textOfAddress);
  const asked = useMutation({
    mutationFn: ({ text, against }: Asked) =>
      post<Labels>("/classify", { text, explain: true, ...(against ? { against } : {}) }),
  });
  const against = query.get("against");
  const ask = (how: Asked) => {
    window.history.replaceState(null, "", `#text=${encodeURIComponent(how.text)}`);
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
        </>
      ) : null}
      <section>
        <button onClick={() => save(told, text, answer, test)}>{say("why.save")}</button>
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
function save(told: Labels, text: string, answer: Label, test: object | null): void {
  const card = { schema: 1, kind: "classification", text, request: told.request, model: told.model, answer, test };
  const url = URL.createObjectURL(
    new Blob([JSON.stringify(card, null, 2)], { type: "application/json" }),
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = `decision-${answer.record.seq}.json`;
  link.click();
  URL.revokeObjectURL(url);
}

function textOfAddress(): string {
  return new URLSearchParams(window.location.hash.slice(1)).get("text") ?? "";
}

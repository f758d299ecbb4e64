import { Link } from "wouter";
import type { Schemas, Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { isWord, useWords } from "../../words";
import { Gated } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { Pair } from "./PolicyPage";
import { isClassifier, useDrift } from "./queries";

type One = Schemas["DriftOut"];

export function DriftView({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <>
      <h1>{say("drift.title")}</h1>
      {isClassifier(start) ? (
        <Gated role={start.role} least="operator">
          <Found start={start} />
        </Gated>
      ) : (
        <p className="notice">{say("govern.classifiers")}</p>
      )}
    </>
  );
}

function Found({ start }: { start: Start }) {
  const { say } = useWords();
  const found = useDrift(start);
  if (found.error && !found.data) return <Trouble error={found.error} />;
  if (!found.data) return <Loading />;
  return (
    <>
      <p>{say("drift.about")}</p>
      <p className="quiet">{say("drift.bar")}</p>
      {found.data.drift.map((one) => (
        <Model key={one.model} one={one} />
      ))}
      {found.data.drift.length ? null : <p className="loading">{say("app.loading")}</p>}
      <p>
        <Link href={linkTo("/govern/audit", { kind: "drift" })}>{say("drift.records")}</Link>
      </p>
    </>
  );
}

function Model({ one }: { one: One }) {
  const { say, f } = useWords();
  const measures = one.measures ?? [];
  return (
    <section className="card drift">
      <h2>
        {one.name} <span className="tag">{one.model.split(":")[1]}</span>
      </h2>
      <p className="verdict" role="status">
        <strong className={one.is_alarm ? "bad" : measures.length ? "good" : ""}>
          {say(one.is_alarm ? "drift.alarm" : measures.length ? "drift.calm" : "drift.none")}
        </strong>{" "}
        {one.is_alarm && one.since ? (
          <>
            {say("drift.since")} <Moment utc={one.since} />
          </>
        ) : null}
      </p>
      {measures.length ? (
        <ul className="bars">
          {measures.map((measure) => {
            const ratio = measure.psi / measure.threshold;
            const word = `drift.${measure.name}`;
            return (
              <li key={measure.name}>
                <span>{isWord(word) ? say(word) : measure.name}</span>
                <span className="bar half" aria-hidden="true">
                  <span
                    className={ratio > 1 ? "against" : ""}
                    style={{ width: `${Math.min(1, ratio / 2) * 100}%` }}
                  />
                </span>
                <span className="number">
                  <strong className={ratio > 1 ? "bad" : ""}>{f.number(ratio)}</strong>
                </span>
                <small>
                  {say("drift.measure", {
                    psi: f.number(measure.psi, 3),
                    limit: f.number(measure.threshold, 3),
                    moved: f.percent(measure.total_variation),
                  })}
                </small>
              </li>
            );
          })}
        </ul>
      ) : null}
      <dl className="pairs">
        <Pair name={say("drift.window")}>
          {say("drift.windows", { n: one.windows, window: f.integer(one.window) })}
          {" \u00b7 "}
          {say("drift.open", { n: f.integer(one.open) })}
        </Pair>
        <Pair name={say("drift.reference")}>
          <span lang="en">{one.reference}</span>
        </Pair>
        <Pair name={say("drift.neurons")}>
          {one.neurons.startsWith("not measured") ? say("drift.neurons.none") : one.neurons}
        </Pair>
        {one.first_seq ? (
          <Pair name={say("drift.evidence")}>
            <Link href={linkTo("/govern/audit", { record: one.first_seq })}>
              {say("drift.first", { number: one.first_seq })}
            </Link>
          </Pair>
        ) : null}
      </dl>
    </section>
  );
}

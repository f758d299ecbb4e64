import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { get, type Schemas, type Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { kindName, modelOf, summaryOf, whoOf } from "../../lib/govern";
import { allows } from "../../lib/roles";
import { useWords } from "../../words";
import { Gated } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { Pair } from "./PolicyPage";
import { Replay } from "./Replay";

type Whole = Schemas["WholeRecord"];

/** One record of the log: what it says, where it stands in the chain, and its text if asked for. */
export function RecordPage({ start, seq }: { start: Start; seq: number }) {
  const { say, f } = useWords();
  const found = useQuery({
    queryKey: ["record", seq],
    queryFn: ({ signal }) => get<Whole>(`/audit/${seq}`, { with_texts: "false" }, signal),
    enabled: allows(start.role, "reviewer"),
  });
  const back = (
    <p>
      <Link href={linkTo("/govern/audit")}>{say("record.back")}</Link>
    </p>
  );
  if (!found.data) {
    return (
      <>
        {back}
        <h1>{say("record.number", { number: seq })}</h1>
        <Gated role={start.role} least="reviewer">
          {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : <Loading />}
        </Gated>
      </>
    );
  }
  const record = found.data;
  const { body } = record;
  const { person, by } = whoOf(body);
  const model = modelOf(body);
  return (
    <>
      {back}
      <h1>
        {say("record.title", { number: seq, kind: kindName(record.kind, say) })}
      </h1>
      <p className="lead">{summaryOf(record, say, f)}</p>
      <dl className="pairs">
        <Pair name={say("record.time")}>
          <Moment utc={record.time} /> <span className="quiet">({record.time})</span>
        </Pair>
        {person ? (
          <Pair name={say("record.who")}>
            {person === by ? null : `${person}, `}
            {by.startsWith("key:") ? (
              <Link href={linkTo("/govern/audit", { key: by.slice(4) })}>{by}</Link>
            ) : (
              by
            )}
          </Pair>
        ) : null}
        {model.name ? (
          <Pair name={say("policy.model")}>
            <Link href={linkTo("/govern/audit", { model: model.sha256 || model.name })}>{model.name}</Link>
          </Pair>
        ) : null}
        <Evidence record={record} />
      </dl>
      {record.has_texts.length ? <Texts seq={seq} roles={record.has_texts} /> : null}
      {record.kind === "decision" ? (
        <section>
          <h2>{say("replay.title")}</h2>
          <Replay start={start} seq={seq} isKept={record.has_texts.includes("input")} />
        </section>
      ) : null}
      <section>
        <h2>{say("record.body")}</h2>
        <pre className="body" tabIndex={0}>
          {JSON.stringify(body, null, 2)}
        </pre>
      </section>
      <section>
        <h2>{say("record.chain")}</h2>
        <p>{say("record.chain.about")}</p>
        <dl className="pairs">
          <Pair name={say("record.hash")}>
            <code className="hash">{record.hash}</code>
          </Pair>
          <Pair name={say("record.previous")}>
            <code className="hash">{record.previous}</code>
            {seq > 1 && allows(start.role, "admin") ? (
              <>
                {" "}
                <Link href={linkTo("/govern/audit", { record: seq - 1 })}>
                  {say("record.number", { number: seq - 1 })}
                </Link>
              </>
            ) : null}
          </Pair>
        </dl>
      </section>
    </>
  );
}

/** Other records and screens that a record points to. */
function Evidence({ record }: { record: Whole }) {
  const { say } = useWords();
  const { body, kind } = record;
  const links: { word: string; to: string }[] = [];
  const decision = kind === "review.verdict" ? body["decision"] : null;
  if (typeof decision === "number") {
    const word = say("record.number", { number: decision });
    links.push({ word, to: linkTo("/govern/audit", { record: decision }) });
    links.push({ word: say("record.case"), to: linkTo("/govern/review", { case: decision }) });
  }
  if (kind === "decision" && body["review"]) {
    links.push({ word: say("record.case"), to: linkTo("/govern/review", { case: record.seq }) });
  }
  if (typeof body["request"] === "string") {
    const to = linkTo("/govern/audit", { request: body["request"] });
    links.push({ word: say("record.request"), to });
  }
  const told: unknown = kind === "policy.propose" || kind.startsWith("generation") ? body["policy"] : body;
  if (kind.startsWith("policy.") || kind.startsWith("generation")) {
    const { name, version } = (told ?? {}) as Record<string, unknown>;
    if (typeof name === "string" && typeof version === "number") {
      const word = say("policy.name", { name, version });
      links.push({ word, to: linkTo("/govern/policies", { policy: name, version }) });
    }
  }
  if (kind.startsWith("rollout.")) links.push({ word: say("govern.rollout"), to: linkTo("/govern/rollout") });
  if (!links.length) return null;
  return (
    <Pair name={say("record.see")}>
      {links.map((one) => (
        <span key={one.to} className="beside">
          <Link href={one.to}>{one.word}</Link>
        </span>
      ))}
    </Pair>
  );
}

/** The texts beside a record; whoever reads them leaves a record, so nobody does by accident. */
function Texts({ seq, roles }: { seq: number; roles: string[] }) {
  const { say } = useWords();
  const [isShown, setShown] = useState(false);
  const found = useQuery({
    queryKey: ["record", seq, "texts"],
    queryFn: ({ signal }) => get<Whole>(`/audit/${seq}`, {}, signal),
    enabled: isShown,
    staleTime: Infinity,
  });
  return (
    <section>
      <h2>{say("record.texts")}</h2>
      {!isShown ? (
        <>
          <p>{say("record.texts.about", { n: roles.length })}</p>
          <button onClick={() => setShown(true)}>{say("record.texts.show")}</button>
        </>
      ) : found.error ? (
        <Trouble error={found.error} />
      ) : !found.data ? (
        <Loading />
      ) : (
        Object.entries(found.data.kept).map(([role, text]) => (
          <figure key={role} className="kept">
            <figcaption className="quiet">{role}</figcaption>
            <p className="told">{text}</p>
          </figure>
        ))
      )}
    </section>
  );
}

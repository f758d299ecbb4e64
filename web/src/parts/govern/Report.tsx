import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { download, get, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { dayAfter, dayBefore, groupOf, kindName } from "../../lib/govern";
import { useWords } from "../../words";
import { Deed, Gated } from "../Deed";
import { Loading, Trouble } from "../Notice";

/** What `/audit/verify` and the report say of the chain. */
interface Chain {
  records: number;
  texts: number;
  anchors: number;
  newest: string;
  faults: { seq: number; what: string }[];
}

interface Figures {
  answers: number;
  latency_ms_p50: number | null;
  latency_ms_p95: number | null;
  n_events: number;
  kinds: Record<string, number>;
  labels: Record<string, { n: number; probability: number }>;
}

const DAYS = 30;
const MOST = 12;

export function Report({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <>
      <h1>{say("report.title")}</h1>
      <Gated role={start.role} least="admin">
        <Chained start={start} />
        <Period />
        <Export start={start} />
      </Gated>
    </>
  );
}

/** Is the log whole? Asked when somebody wants to know, since the whole log is read. */
function Chained({ start }: { start: Start }) {
  const { say } = useWords();
  const asked = useMutation({ mutationFn: () => get<Chain>("/audit/verify") });
  return (
    <section>
      <h2>{say("chain.title")}</h2>
      <p>{say("chain.about")}</p>
      <Deed role={start.role} least="admin" act={() => asked.mutate()} isBusy={asked.isPending}>
        {say(asked.isPending ? "chain.checking" : "chain.check")}
      </Deed>
      {asked.error ? <Trouble error={asked.error} /> : null}
      {asked.data ? <ChainTold chain={asked.data} /> : null}
    </section>
  );
}

function ChainTold({ chain }: { chain: Chain }) {
  const { say, f } = useWords();
  const { faults } = chain;
  return (
    <div aria-live="polite">
      <p className="verdict">
        <strong className={faults.length ? "bad" : "good"}>
          {faults.length
            ? say("chain.broken", { n: f.integer(faults.length) })
            : say("chain.whole", { n: f.integer(chain.records) })}
        </strong>
      </p>
      {faults.slice(0, MOST).map((one, place) => (
        <p key={place}>
          <Link href={linkTo("/govern/audit", { record: one.seq })}>
            {say("record.number", { number: one.seq })}
          </Link>
          : {one.what}
        </p>
      ))}
      <p className="quiet">
        {say("chain.newest", { texts: f.integer(chain.texts), anchors: f.integer(chain.anchors) })} <code className="hash">{chain.newest}</code>
      </p>
    </div>
  );
}

/** What happened in a span of days. */
function Period() {
  const { say, lang } = useWords();
  const [asked, change] = useAddress();
  const from = asked.get("from") ?? dayBefore(DAYS);
  const to = asked.get("to") ?? dayBefore(0);
  const query = { from, to: dayAfter(to) };
  const found = useQuery({
    queryKey: ["report", from, to],
    // The whole chain is checked only when somebody asks for that: it takes long on a large log.
    queryFn: ({ signal }) =>
      get<Figures>("/audit/report", { ...query, format: "json", verify: "false" }, signal),
    staleTime: 0,
  });
  const file = useMutation({
    mutationFn: (format: "html" | "md" | "json") =>
      download("/audit/report", { ...query, lang, format }, `report-${from}-${to}.${format}`),
  });
  return (
    <section>
      <h2>{say("period.title")}</h2>
      <div className="row">
        <label>
          {say("audit.from")}
          <input
            type="date"
            value={from}
            max={to}
            onChange={(event) => event.target.value && change({ from: event.target.value })}
          />
        </label>
        <label>
          {say("audit.to")}
          <input
            type="date"
            value={to}
            min={from}
            onChange={(event) => event.target.value && change({ to: event.target.value })}
          />
        </label>
      </div>
      {found.error ? (
        <Trouble error={found.error} retry={() => void found.refetch()} />
      ) : found.data ? (
        <FiguresTold found={found.data} from={from} to={to} />
      ) : (
        <Loading />
      )}
      <p className="deeds">
        {(["html", "md", "json"] as const).map((format) => (
          <button key={format} disabled={file.isPending} onClick={() => file.mutate(format)}>
            {say(`period.${format}`)}
          </button>
        ))}
      </p>
      {file.error ? <Trouble error={file.error} /> : null}
    </section>
  );
}

function FiguresTold({ found, from, to }: { found: Figures; from: string; to: string }) {
  const { say, f } = useWords();
  const labels = Object.entries(found.labels).sort((a, b) => b[1].n - a[1].n);
  const kinds = Object.entries(found.kinds).sort((a, b) => b[1] - a[1]);
  return (
    <>
      <div className="figures">
        <p>
          <strong>{f.integer(found.answers)}</strong>
          <small>{say("period.answers")}</small>
        </p>
        <p>
          <strong>{f.integer(found.n_events)}</strong>
          <small>{say("period.events")}</small>
        </p>
        {found.latency_ms_p95 === null ? null : (
          <p>
            <strong>{f.ms(found.latency_ms_p95)}</strong>
            <small>{say("period.p95")}</small>
          </p>
        )}
      </div>
      <div className="columns">
        <div>
          <h3>{say("period.labels")}</h3>
          {labels.length ? null : <p className="quiet">{say("period.labels.none")}</p>}
          <ul className="bars">
            {labels.slice(0, MOST).map(([label, one]) => (
              <li key={label}>
                <Link href={linkTo("/govern/audit", { label, from, to })}>{label}</Link>
                <span className="bar" aria-hidden="true">
                  <span style={{ width: `${(one.n / (labels[0]?.[1].n ?? 1)) * 100}%` }} />
                </span>
                <span className="number">{f.integer(one.n)}</span>
              </li>
            ))}
          </ul>
          {labels.length > MOST ? (
            <p className="quiet">{say("period.labels.more", { n: labels.length - MOST })}</p>
          ) : null}
        </div>
        <div>
          <h3>{say("period.kinds")}</h3>
          <ul className="counts">
            {kinds.map(([kind, n]) => (
              <li key={kind}>
                <Link href={linkTo("/govern/audit", { kind: groupOf(kind), from, to })}>
                  {kindName(kind, say)}
                </Link>
                <span className="number">{f.integer(n)}</span>
              </li>
            ))}
          </ul>
        </div>
      </div>
    </>
  );
}

/** The log for other programs. */
function Export({ start }: { start: Start }) {
  const { say } = useWords();
  const [first, setFirst] = useState("1");
  const [last, setLast] = useState("");
  const [hasTexts, setTexts] = useState(false);
  const query = { first, last, with_texts: hasTexts ? "true" : "false" };
  const file = useMutation({ mutationFn: () => download("/audit/export", query, "audit.jsonl") });
  return (
    <section>
      <h2>{say("export.title")}</h2>
      <p>{say("export.about")}</p>
      <div className="row">
        <label>
          {say("export.first")}
          <input type="number" min={1} value={first} onChange={(event) => setFirst(event.target.value)} />
        </label>
        <label>
          {say("export.last")}
          <input
            type="number"
            min={1}
            value={last}
            placeholder={say("export.newest")}
            onChange={(event) => setLast(event.target.value)}
          />
        </label>
      </div>
      <label className="radio">
        <input type="checkbox" checked={hasTexts} onChange={(event) => setTexts(event.target.checked)} />
        {say("export.texts")}
      </label>
      <p>
        <Deed role={start.role} least="admin" act={() => file.mutate()} isBusy={file.isPending}>
          {say("export.save")}
        </Deed>
      </p>
      {file.error ? <Trouble error={file.error} /> : null}
    </section>
  );
}

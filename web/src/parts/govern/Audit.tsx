import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { get, type Schemas, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import {
  dayAfter,
  GROUPS,
  isGroup,
  kindName,
  mayRead,
  summaryOf,
  whoOf,
  type Group,
  type RecordOut,
} from "../../lib/govern";
import { allows } from "../../lib/roles";
import { useWords } from "../../words";
import { Gated } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { RecordPage } from "./RecordPage";

const AT_ONCE = 50;
const FIELDS = ["key", "model", "label", "policy", "request", "hash"] as const;
const ALL = Object.keys(GROUPS) as Group[];

export function Audit({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked] = useAddress();
  const record = Number(asked.get("record")) || null;
  if (record) {
    return <RecordPage key={record} start={start} seq={record} />;
  }
  return (
    <>
      <h1>{say("audit.title")}</h1>
      <p>{say("audit.about")}</p>
      <Gated role={start.role} least="reviewer">
        <Search start={start} />
        <Found />
      </Gated>
    </>
  );
}

/** What records must have in common; it goes to the address when it is asked for. */
function Search({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const names = ["from", "to", ...FIELDS] as const;
  const told = Object.fromEntries(names.map((name) => [name, asked.get(name) ?? ""]));
  const [typed, setTyped] = useState<Record<string, string>>(told);
  // Back and forward change the address, and what is typed with it.
  const [seen, setSeen] = useState(asked.toString());
  if (seen !== asked.toString()) {
    setSeen(asked.toString());
    setTyped(told);
  }
  const isAdmin = allows(start.role, "admin");
  const groups = ALL.filter((one) => mayRead(start.role, one));
  const isAsked = asked.get("kind") !== null || names.some((name) => asked.get(name));
  const n = FIELDS.filter((name) => asked.get(name)).length;
  const set = (name: string, value: string) => setTyped({ ...typed, [name]: value });
  const search = (kind: string | null) => {
    const plain = Object.entries(typed).map(([name, value]) => [name, value.trim()]);
    change({ ...Object.fromEntries(plain), kind, before: null }, { push: true });
  };
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        search(asked.get("kind"));
      }}
    >
      <div className="row">
        <label>
          {say("audit.kind")}
          <select
            value={asked.get("kind") ?? ""}
            onChange={(event) => search(event.target.value)}
          >
            <option value="">{say(isAdmin ? "audit.kind.any" : "audit.kind.readable")}</option>
            {groups.map((one) => (
              <option key={one} value={one}>
                {say(`group.${one}`)}
              </option>
            ))}
          </select>
        </label>
        {(["from", "to"] as const).map((name) => (
          <label key={name}>
            {say(`audit.${name}`)}
            <input
              type="date"
              value={typed[name]}
              onChange={(event) => set(name, event.target.value)}
            />
          </label>
        ))}
        <button type="submit" className="primary">
          {say("audit.search")}
        </button>
        {isAsked ? (
          <button
            type="button"
            className="plain"
            onClick={() => {
              const nothing = Object.fromEntries([...names, "kind", "before"].map((name) => [name, null]));
              change(nothing, { push: true });
            }}
          >
            {say("audit.reset")}
          </button>
        ) : null}
      </div>
      <details open={n > 0}>
        <summary>{say("audit.more")}</summary>
        <div className="row">
          {FIELDS.map((name) => (
            <label key={name}>
              {say(`audit.${name}`)}
              <input
                type="search"
                value={typed[name] ?? ""}
                maxLength={1000}
                onChange={(event) => set(name, event.target.value)}
              />
            </label>
          ))}
        </div>
        <p className="quiet">{say("audit.hash.about")}</p>
      </details>
      {isAdmin ? null : <p className="quiet">{say("audit.role")}</p>}
    </form>
  );
}

/** A page of what was found; older ones follow. */
function Found() {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const kind = asked.get("kind");
  const until = asked.get("to");
  const before = Number(asked.get("before")) || null;
  const query = {
    ...Object.fromEntries(FIELDS.map((name) => [name, asked.get(name)])),
    kind: isGroup(kind) ? GROUPS[kind] : null,
    from: asked.get("from"),
    to: until ? dayAfter(until) : null,
    before,
    limit: AT_ONCE,
  };
  const found = useQuery({
    queryKey: ["audit", query],
    queryFn: ({ signal }) => get<Schemas["Records"]>("/audit", query, signal),
    staleTime: 0,
  });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const { records, next } = found.data;
  return (
    <section aria-label={say("audit.found")}>
      {records.length ? (
        <ol className="records">
          {records.map((one) => (
            <Row key={one.seq} record={one} />
          ))}
        </ol>
      ) : (
        <p role="status">{say(next ? "audit.empty.sofar" : "audit.empty")}</p>
      )}
      <p className="deeds">
        {before ? (
          <button onClick={() => change({ before: null }, { push: true })}>{say("audit.newest")}</button>
        ) : null}
        {next ? (
          <button onClick={() => change({ before: next }, { push: true })}>{say("audit.older")}</button>
        ) : null}
      </p>
    </section>
  );
}

function Row({ record }: { record: RecordOut }) {
  const { say, f } = useWords();
  const summary = summaryOf(record, say, f);
  const { person, by } = whoOf(record.body);
  return (
    <li>
      <span className="seq">
        <Link href={linkTo("/govern/audit", { record: record.seq })}>
          {say("record.number", { number: record.seq })}
        </Link>
      </span>
      <span className="quiet">
        <Moment utc={record.time} />
      </span>
      <span>
        {kindName(record.kind, say)}
        {summary ? <strong> {summary}</strong> : null}
      </span>
      <span className="quiet" title={by}>
        {person}
      </span>
    </li>
  );
}

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { post, type Schemas, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Confirm } from "../Confirm";
import { Deed, Gated } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { Prose } from "../Prose";
import { KeyForm } from "./KeyForm";
import { useKeys } from "./queries";

type One = Schemas["KeyOut"];

const PAGE = 30;
const STATES = ["valid", "expired", "revoked"] as const;

export function KeysView({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked] = useAddress();
  return (
    <>
      <h1>{say(asked.get("new") ? "keys.new" : "keys.title")}</h1>
      <Gated role={start.role} least="admin">
        {asked.get("new") ? <KeyForm /> : <List start={start} />}
      </Gated>
    </>
  );
}

function List({ start }: { start: Start }) {
  const { say, f } = useWords();
  const [shown, setShown] = useState(PAGE);
  const [asked, change] = useAddress();
  const found = useKeys(start);
  const state = STATES.find((one) => one === asked.get("state")) ?? null;
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const rows = found.data.keys.filter((one) => !state || one.state === state);
  return (
    <>
      <p>{say("keys.about")}</p>
      {found.data.are_demanded ? null : (
        <p className="notice">
          <Prose text={say("keys.open")} />
        </p>
      )}
      <div className="row">
        <label>
          {say("keys.state")}
          <select value={state ?? ""} onChange={(event) => change({ state: event.target.value })}>
            <option value="">{say("keys.state.any")}</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {say(`keys.state.${one}`)}
              </option>
            ))}
          </select>
        </label>
        <Deed role={start.role} least="admin" look="primary" act={() => change({ new: 1 }, { push: true })}>
          {say("keys.new")}
        </Deed>
      </div>
      <p className="quiet" role="status">
        {rows.length
          ? say("keys.count", { n: f.integer(rows.length) })
          : say(state ? "keys.none.such" : "keys.none")}
      </p>
      <ul className="cards">
        {rows.slice(0, shown).map((one) => (
          <Row key={one.id} start={start} one={one} />
        ))}
      </ul>
      {rows.length > shown ? (
        <button onClick={() => setShown(shown + PAGE)}>{say("app.more")}</button>
      ) : null}
    </>
  );
}

function Row({ start, one }: { start: Start; one: One }) {
  const { say, f } = useWords();
  const look = one.state === "valid" ? " good" : "";
  return (
    <li className="card">
      <p className="card-title">
        <span translate="no">{one.name}</span>
        <span className={`tag${look}`}>{say(`keys.state.${one.state}`)}</span>
        <span className="tag">{say(`role.${one.role}`)}</span>
        {one.is_yours ? <span className="tag">{say("keys.yours")}</span> : null}
      </p>
      <p className="how quiet">
        <code>{one.id}</code>
        <span>
          {say("keys.made")} <Moment utc={one.created} />
        </span>
        <span>
          {one.expires ? (
            <>
              {say("keys.until")} <Moment utc={one.expires} />
            </>
          ) : (
            say("keys.never")
          )}
        </span>
        {one.revoked ? (
          <span>
            {say("keys.revoked")} <Moment utc={one.revoked} />
          </span>
        ) : null}
        {one.per_minute ? <span>{say("keys.per.minute", { n: f.integer(one.per_minute) })}</span> : null}
        {one.per_day ? (
          <span>
            {say("keys.per.day", { used: f.integer(one.used_today ?? 0), n: f.integer(one.per_day) })}
          </span>
        ) : null}
        <Link href={linkTo("/govern/audit", { key: one.id })}>{say("keys.used")}</Link>
      </p>
      {one.revoked ? null : <Revoke start={start} one={one} />}
    </li>
  );
}

function Revoke({ start, one }: { start: Start; one: One }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const revoke = useMutation({
    mutationFn: () => post<One>(`/keys/${one.id}/revoke`, {}),
    onSettled: () => {
      setAsking(false);
      void queries.invalidateQueries({ queryKey: ["keys"] });
    },
  });
  return (
    <>
      <Deed
        role={start.role}
        least="admin"
        why={one.is_yours ? say("keys.revoke.own").replaceAll("`", "") : null}
        act={() => setAsking(true)}
        isBusy={revoke.isPending}
      >
        {say("keys.revoke")}
      </Deed>
      {revoke.error ? <Trouble error={revoke.error} /> : null}
      {isAsking ? (
        <Confirm
          title={say("keys.revoke.title", { name: one.name })}
          deed={say("keys.revoke")}
          act={() => revoke.mutate()}
          leave={() => setAsking(false)}
          isBusy={revoke.isPending}
          isDangerous
        >
          <p>{say("keys.revoke.about")}</p>
        </Confirm>
      ) : null}
    </>
  );
}

import type { UseQueryResult } from "@tanstack/react-query";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { get, type Schemas, type Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { kindName, stageName, type Question } from "../../lib/govern";
import { allows, type Role } from "../../lib/roles";
import { needs } from "../Deed";
import { Moment } from "../Moment";
import { Trouble } from "../Notice";
import { useWords } from "../../words";
import { isClassifier, useDrift, useKeys, usePolicies, useRollout, useWaiting } from "./queries";

/** Where everything stands, with the way to each. */
export function Overview({ start }: { start: Start }) {
  const { say, f } = useWords();
  const policies = usePolicies();
  const waiting = useWaiting(start, 0);
  const rollout = useRollout(start);
  const drift = useDrift(start);
  const keys = useKeys(start);
  const newest = useQuery({
    queryKey: ["audit", "newest"],
    queryFn: ({ signal }) => get<Schemas["Records"]>("/audit", { limit: 1 }, signal),
    enabled: allows(start.role, "reviewer"),
  });
  const only = isClassifier(start) ? null : say("govern.classifiers");
  const inState = (state: string) =>
    policies.data?.policies.filter((one) => one.state === state).length ?? 0;
  const going = rollout.data?.rollout ?? null;
  const isAlarm = drift.data?.drift.some((one) => one.is_alarm) ?? false;
  const last = newest.data?.records[0];
  return (
    <>
      <h1>{say("govern.title")}</h1>
      <p>{say("govern.about")}</p>
      <ul className="cards tiles">
        <Tile to="policies" asked={policies} role={start.role} least="viewer">
          <strong>{f.integer(inState("approved"))}</strong> {say("overview.policies.inforce")}
          {", "}
          <strong>{f.integer(inState("proposed"))}</strong> {say("overview.policies.proposed")}
        </Tile>
        <Tile to="review" asked={waiting} role={start.role} least="reviewer">
          <strong>{f.integer(waiting.data?.waiting ?? 0)}</strong> {say("overview.review")}
        </Tile>
        <Tile to="rollout" asked={rollout} role={start.role} least="operator">
          {going ? (
            <>
              <strong>{stageName(going.stage, say)}</strong>{" "}
              {say("overview.rollout", { old: going.old.name, new: going.new.name })}
            </>
          ) : (
            say("overview.rollout.none")
          )}
        </Tile>
        <Tile to="drift" asked={drift} role={start.role} least="operator" why={only}>
          {isAlarm ? (
            <strong className="bad">{say("overview.drift.alarm")}</strong>
          ) : (
            say("overview.drift.calm")
          )}
        </Tile>
        <Tile to="audit" asked={newest} role={start.role} least="reviewer">
          {last ? (
            <>
              {say("overview.audit", { number: f.integer(last.seq), kind: kindName(last.kind, say) })}{" "}
              <Moment utc={last.time} />
            </>
          ) : (
            say("audit.empty")
          )}
        </Tile>
        <Tile to="report" role={start.role} least="admin">
          {say("overview.report")}
        </Tile>
        <Tile to="keys" asked={keys} role={start.role} least="admin">
          <strong>
            {f.integer(keys.data?.keys.filter((one) => one.state === "valid").length ?? 0)}
          </strong>{" "}
          {say("overview.keys")}
        </Tile>
      </ul>
    </>
  );
}

interface TileProps {
  to: Question;
  asked?: UseQueryResult<unknown>;
  role: Role;
  least: Role;
  /** Why there is nothing to see. */
  why?: string | null;
  children: ReactNode;
}

function Tile({ to, asked, role, least, why = null, children }: TileProps) {
  const { say } = useWords();
  const told = allows(role, least) ? why : needs(say, role, least);
  return (
    <li className="card">
      <p className="card-title">
        <Link href={linkTo(`/govern/${to}`)}>{say(`govern.${to}`)}</Link>
      </p>
      <p className="quiet">{say(`${to}.title`)}</p>
      {told ? (
        <p>{told}</p>
      ) : asked?.error ? (
        <Trouble error={asked.error} />
      ) : asked && !asked.data ? (
        <p className="loading">{say("app.loading")}</p>
      ) : (
        <p>{children}</p>
      )}
    </li>
  );
}

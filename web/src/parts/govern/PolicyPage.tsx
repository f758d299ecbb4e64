import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Link } from "wouter";
import { download, get, post, type Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import type { PolicyOut } from "../../lib/govern";
import { useWords } from "../../words";
import { Confirm } from "../Confirm";
import { Deed } from "../Deed";
import { Hash, Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { LimitTable } from "./LimitTable";
import { isClassifier, usePolicies } from "./queries";

interface Props {
  start: Start;
  name: string;
  /** Null: the newest one. */
  version: number | null;
}

/** One version of a policy: what it allows, who said so, until when. */
export function PolicyPage({ start, name, version }: Props) {
  const { say } = useWords();
  const all = usePolicies();
  const own = all.data?.policies.filter((one) => one.policy.name === name) ?? [];
  const chosen = version ?? own.at(-1)?.policy.version ?? 1;
  const path = `/policies/${encodeURIComponent(name)}/${chosen}`;
  const found = useQuery({
    queryKey: ["policies", name, chosen],
    queryFn: ({ signal }) => get<PolicyOut>(path, {}, signal),
    enabled: version !== null || all.data !== undefined,
  });
  const trouble = found.error ?? all.error;
  if (trouble) return <Trouble error={trouble} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const { policy } = found.data;
  const isHere = policy.model_sha256 === start.model.sha256;
  return (
    <>
      <p>
        <Link href={linkTo("/govern/policies")}>{say("policy.back")}</Link>
      </p>
      <h1>
        {say("policy.name", { name, version: policy.version })} <StateTag state={found.data.state} />
      </h1>
      {policy.note ? <p className="lead">{policy.note}</p> : null}
      <Standing found={found.data} />
      {isClassifier(start) || isHere ? null : (
        <p className="notice" role="note">
          {say("policy.elsewhere", { model: policy.model, served: start.model.name })}
        </p>
      )}
      <Deeds start={start} found={found.data} path={path} />
      <section>
        <h2>{say("policy.allows")}</h2>
        <Allows found={found.data} />
      </section>
      <section>
        <h2>{say("policy.belongs")}</h2>
        <dl className="pairs">
          <Pair name={say("policy.model")}>
            {policy.model} <Hash of={policy.model_sha256} />
          </Pair>
          <Pair name={say("policy.catalogue")}>
            {policy.catalogue_sha256 ? <Hash of={policy.catalogue_sha256} /> : say("policy.catalogue.none")}
          </Pair>
          <Pair name={say("policy.content")}>
            <code className="hash">{found.data.sha256}</code>
          </Pair>
        </dl>
      </section>
      <section>
        <h2>{say("policy.evidence")}</h2>
        <p>
          <Link href={linkTo("/govern/audit", { policy: name })}>{say("policy.records")}</Link>
        </p>
        {own.length > 1 ? (
          <p>
            {say("policy.versions")}{" "}
            {own.map((one) => (
              <span key={one.policy.version}>
                <Link href={linkTo("/govern/policies", { policy: name, version: one.policy.version })}>
                  {one.policy.version}
                </Link>{" "}
                ({say(`state.${one.state}`)}){" "}
              </span>
            ))}
          </p>
        ) : null}
      </section>
    </>
  );
}

/** Who approved it, until when; the sentence that most people come for. */
function Standing({ found }: { found: PolicyOut }) {
  const { say } = useWords();
  return (
    <dl className="pairs">
      <Pair name={say("policy.owner")}>{found.policy.owner}</Pair>
      <Pair name={say("policy.proposed")}>
        {found.author}, <Moment utc={found.proposed} />
      </Pair>
      <Pair name={say("policy.approved")}>
        {found.approver && found.approved ? (
          <>
            {found.approver}, <Moment utc={found.approved} />
          </>
        ) : (
          say("policy.unapproved")
        )}
      </Pair>
      <Pair name={say("policy.ends")}>
        <Moment utc={found.policy.expires} />
      </Pair>
      {found.end && found.ended ? (
        <Pair name={say(`state.${found.end}`)}>
          {found.ended_by}, <Moment utc={found.ended} />
          {found.reason ? <> {say("policy.reason.told", { reason: found.reason })}</> : null}
        </Pair>
      ) : null}
    </dl>
  );
}

function Allows({ found }: { found: PolicyOut }) {
  const { say } = useWords();
  const { policy } = found;
  return (
    <>
      <dl className="pairs">
        <Pair name={say("policy.uses")}>{policy.uses.join(", ")}</Pair>
        <Pair name={say("policy.role")}>{say(`role.${policy.role ?? "viewer"}`)}</Pair>
        {(policy.presets ?? []).map((one) => (
          <Pair key={one.name} name={say("policy.preset")}>
            {one.name} <Hash of={one.sha256} />
          </Pair>
        ))}
      </dl>
      {policy.neurons?.length ? <LimitTable limits={policy.neurons} /> : null}
    </>
  );
}

/** What can be done with it, by whom. */
function Deeds({ start, found, path }: { start: Start; found: PolicyOut; path: string }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [isEnding, setEnding] = useState(false);
  const [reason, setReason] = useState("");
  const done = async () => {
    setEnding(false);
    await queries.invalidateQueries({ queryKey: ["policies"] });
  };
  const approve = useMutation({
    mutationFn: () => post<PolicyOut>(`${path}/approve`, { sha256: found.sha256 }),
    onSuccess: done,
  });
  const end = useMutation({
    mutationFn: () => post<PolicyOut>(`${path}/revoke`, { reason: reason.trim() }),
    onSuccess: done,
    onError: () => setEnding(false),
  });
  const file = useMutation({
    mutationFn: () => download(`${path}/file`, {}, `${found.policy.name}-${found.policy.version}.toml`),
  });
  const { name, version } = found.policy;
  const isProposed = found.state === "proposed";
  const isOver = found.end !== null || found.state === "expired";
  const over = isOver ? say("policy.over", { state: say(`state.${found.state}`) }) : null;
  const cannot = over ?? (isProposed ? null : say("policy.approved.already"));
  const trouble = approve.error ?? end.error ?? file.error;
  return (
    <>
      <div className="deeds">
        <Deed
          role={start.role}
          least="reviewer"
          why={cannot ?? (found.is_yours ? say("policy.yours", { author: found.author }) : null)}
          act={() => approve.mutate()}
          isBusy={approve.isPending}
          look="primary"
        >
          {say("policy.approve")}
        </Deed>
        <Deed role={start.role} least="reviewer" why={over} act={() => setEnding(true)} look="danger">
          {say(isProposed ? "policy.reject" : "policy.revoke")}
        </Deed>
        <Deed role={start.role} least="viewer" act={() => file.mutate()} isBusy={file.isPending}>
          {say("policy.file")}
        </Deed>
      </div>
      {trouble ? <Trouble error={trouble} /> : null}
      {isEnding ? (
        <Confirm
          title={say(isProposed ? "policy.reject.title" : "policy.revoke.title", { name, version })}
          deed={say(isProposed ? "policy.reject" : "policy.revoke")}
          act={() => end.mutate()}
          leave={() => setEnding(false)}
          isBusy={end.isPending || !reason.trim()}
          isDangerous
        >
          <p>{say("policy.revoke.about")}</p>
          <label>
            {say("policy.reason")}
            <input
              required
              maxLength={200}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          </label>
        </Confirm>
      ) : null}
    </>
  );
}

export function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function StateTag({ state }: { state: PolicyOut["state"] }) {
  const { say } = useWords();
  const look = state === "approved" ? " good" : state === "proposed" ? " waits" : "";
  return <span className={`tag${look}`}>{say(`state.${state}`)}</span>;
}

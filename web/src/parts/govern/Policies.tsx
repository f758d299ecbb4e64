import { useState } from "react";
import { Link } from "wouter";
import type { Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import type { Policy, PolicyOut } from "../../lib/govern";
import { useWords, type Say } from "../../words";
import { Deed } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { isClassifier, usePolicies } from "./queries";
import { PolicyForm } from "./PolicyForm";
import { PolicyPage, StateTag } from "./PolicyPage";

const PAGE = 30;
const STATES = ["approved", "proposed", "expired", "revoked", "superseded"] as const;

export function Policies({ start }: { start: Start }) {
  const [asked] = useAddress();
  const name = asked.get("policy");
  const version = Number(asked.get("version")) || null;
  if (asked.get("new")) return <PolicyForm start={start} />;
  if (name) return <PolicyPage key={`${name} ${version}`} start={start} name={name} version={version} />;
  return <List start={start} />;
}

function List({ start }: { start: Start }) {
  const { say, f } = useWords();
  const [shown, setShown] = useState(PAGE);
  const [asked, change] = useAddress();
  const found = usePolicies();
  const state = STATES.find((one) => one === asked.get("state")) ?? null;
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const rows = found.data.policies.filter((one) => !state || one.state === state).reverse();
  return (
    <>
      <h1>{say("policies.title")}</h1>
      <p>{say("policies.about")}</p>
      {isClassifier(start) ? null : (
        <p className="notice">
          {say(found.data.is_needed ? "policies.needed" : "policies.not.needed")}
        </p>
      )}
      <div className="row">
        <label>
          {say("policies.state")}
          <select value={state ?? ""} onChange={(event) => change({ state: event.target.value })}>
            <option value="">{say("policies.state.any")}</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {say(`state.${one}`)}
              </option>
            ))}
          </select>
        </label>
        <Deed
          role={start.role}
          least="operator"
          why={isClassifier(start) ? say("policies.language") : null}
          look="primary"
          act={() => change({ new: 1 }, { push: true })}
        >
          {say("policies.new")}
        </Deed>
      </div>
      <p className="quiet" role="status">
        {rows.length
          ? say("policies.count", { n: f.integer(rows.length) })
          : say(state ? "policies.none.such" : "policies.none")}
      </p>
      <ul className="cards">
        {rows.slice(0, shown).map((one) => (
          <Row key={`${one.policy.name} ${one.policy.version}`} found={one} />
        ))}
      </ul>
      {rows.length > shown ? (
        <button onClick={() => setShown(shown + PAGE)}>{say("app.more")}</button>
      ) : null}
    </>
  );
}

function Row({ found }: { found: PolicyOut }) {
  const { say } = useWords();
  const { policy } = found;
  const { name, version } = policy;
  return (
    <li className="card">
      <p className="card-title">
        <Link href={linkTo("/govern/policies", { policy: name, version })}>
          {say("policy.name", { name, version })}
        </Link>
        <StateTag state={found.state} />
      </p>
      <p>
        {say("policy.row", { what: allowedIn(policy, say), uses: policy.uses.join(", "), owner: policy.owner })}
      </p>
      <p className="how quiet">
        <span>{say("policy.by", { author: found.author })}</span>
        <span>
          {found.approver ? say("policy.approved.by", { approver: found.approver }) : say("policy.unapproved")}
        </span>
        <span>
          {say("policy.until")} <Moment utc={policy.expires} />
        </span>
      </p>
    </li>
  );
}

/** What a policy allows, in a line. */
function allowedIn(policy: Policy, say: Say): string {
  const presets = (policy.presets ?? []).map((one) => one.name);
  const n = policy.neurons?.length ?? 0;
  return [...presets, ...(n ? [say("policy.neurons.n", { n })] : [])].join(", ");
}

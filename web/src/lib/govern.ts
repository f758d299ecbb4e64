/** Addresses and types of the screen Govern, and what records are about. */

import type { operations, components } from "../api/schema";
import { isWord, type Say } from "../words";
import { allows, type Role } from "./roles";
import type { Format } from "./format";

type Schemas = components["schemas"];
export type PolicyOut = Schemas["PolicyOut"];
export type Policy = PolicyOut["policy"];
export type Limit = NonNullable<Policy["neurons"]>[number];
export type RecordOut = Schemas["RecordOut"];
export type RolloutState = Schemas["RolloutState"];
export type Rollout = NonNullable<RolloutState["rollout"]>;
export type Stage = Rollout["stage"];
export type Kind = NonNullable<
  NonNullable<operations["find_records_api_v1_audit_get"]["parameters"]["query"]>["kind"]
>[number];

export const QUESTIONS = ["policies", "review", "rollout", "drift", "audit", "report", "keys"] as const;
export type Question = (typeof QUESTIONS)[number];

/** Kinds of records by what they are about. */
export const GROUPS = {
  decision: ["decision", "decision.explain", "decision.replay"],
  generation: ["generation.begin", "generation.end"],
  policy: ["policy.propose", "policy.approve", "policy.revoke", "policy.expire", "policy.refuse"],
  review: ["review.verdict"],
  rollout: ["rollout.start", "rollout.promote", "rollout.roll-back", "rollout.ask"],
  drift: ["drift.begin", "drift.end"],
  key: ["key.add", "key.revoke"],
  text: ["text.read", "text.forget"],
  server: ["server.start", "server.stop", "model.changed"],
  job: ["job.add", "job.end", "job.delete"],
  concept: ["concept.remark"],
} as const satisfies Record<string, readonly Kind[]>;
export type Group = keyof typeof GROUPS;

/** Who may look at records of what; the server has the last word. */
const OPEN: Partial<Record<Group, Role>> = {
  decision: "reviewer",
  generation: "reviewer",
  policy: "reviewer",
  review: "reviewer",
  rollout: "operator",
  drift: "operator",
};

export const mayRead = (role: Role, group: Group): boolean => allows(role, OPEN[group] ?? "admin");

export const isGroup = (name: string | null): name is Group => name !== null && name in GROUPS;

export const groupOf = (kind: string): Group | null =>
  (Object.keys(GROUPS) as Group[]).find((one) => (GROUPS[one] as readonly string[]).includes(kind)) ?? null;

export function kindName(kind: string, say: Say): string {
  const word = `kind.${kind}`;
  return isWord(word) ? say(word) : kind;
}

type Body = RecordOut["body"];

const text = (body: Body, name: string): string => {
  const value = body[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};

const inside = (body: Body, name: string): Body => {
  const value = body[name];
  return typeof value === "object" && value !== null ? (value as Body) : {};
};

/** The model that a record names, and its hash. */
export function modelOf(body: Body): { name: string; sha256: string } {
  const model = inside(body, "model");
  const name = text(model, "name") || text(body, "model");
  return { name, sha256: text(model, "sha256") || text(body, "sha256") };
}

/** A record in a line: what was decided, about what. */
export function summaryOf({ kind, body }: RecordOut, say: Say, f: Format): string {
  if (kind === "decision" || kind === "decision.explain") {
    const p = body["probability"];
    return `${text(body, "target") || text(body, "label")} ${typeof p === "number" ? f.percent(p) : ""}`.trim();
  }
  if (kind === "decision.replay") {
    const replay = inside(body, "replay");
    const number = text(replay, "seq");
    return say(replay["is_same"] === true ? "record.replay.same" : "record.replay.other", { number });
  }
  if (kind === "review.verdict") {
    const label = text(body, "label") || say("review.none.fits");
    return say("record.verdict", { number: text(body, "decision"), label });
  }
  if (kind.startsWith("policy.")) {
    const policy = kind === "policy.propose" ? inside(body, "policy") : body;
    return text(policy, "name")
      ? say("policy.name", { name: text(policy, "name"), version: text(policy, "version") })
      : [text(body, "preset"), text(body, "rule")].filter(Boolean).join(" \u00b7 ");
  }
  if (kind.startsWith("rollout.")) return stageName(text(body, "stage"), say);
  const name = text(body, "name") || modelOf(body).name;
  const parts = [name, text(body, "role"), text(body, "what")];
  return parts.filter(Boolean).join(" \u00b7 ");
}

/** Who did it: the person where that is known, and the key that was used. */
export function whoOf(body: Body): { person: string; by: string } {
  const by = text(body, "by");
  return { person: text(body, "person") || by, by };
}

export function stageName(stage: string, say: Say): string {
  const word = `stage.${stage}`;
  return isWord(word) ? say(word) : stage;
}

const FIGURES = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

/** Amounts that may be very small. */
export const brief = (value: number): string => FIGURES.format(value);

/** The day after a day such as `2026-11-23`, since the server leaves the end of a span out. */
export function dayAfter(day: string): string {
  const next = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(next.getTime())) return day;
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}

export const dayBefore = (days: number): string =>
  new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

/** Whether both models of a rollout are language models, which are measured by tokens. */
export const writes = (rollout: Rollout): boolean => rollout.new.kind === "language-model";

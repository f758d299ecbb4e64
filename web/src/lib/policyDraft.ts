/** A policy while it is written: what the form holds, and what is sent. */

import type { Schemas } from "../api/client";
import type { Limit, Policy } from "./govern";

export const RANGES = ["set", "add", "scale"] as const;

/** Limits of a neuron as they are typed. */
export interface LimitLine {
  neuron: string;
  set: [string, string];
  add: [string, string];
  scale: [string, string];
  suppress: boolean;
}

export interface Draft {
  name: string;
  version: number;
  owner: string;
  note: string;
  uses: string;
  role: NonNullable<Policy["role"]>;
  /** A day, or a moment as a file has it. */
  expires: string;
  presets: { name: string; sha256: string }[];
  neurons: LimitLine[];
  model: string;
  model_sha256: string;
  catalogue_sha256: string | null;
}

export const EMPTY_LINE: LimitLine = {
  neuron: "",
  set: ["", ""],
  add: ["", ""],
  scale: ["", ""],
  suppress: false,
};

/** An empty form, with a preset where one was chosen elsewhere. */
export function begun(start: Schemas["PolicyStart"], preset: string | null): Draft {
  const { model, model_sha256, catalogue_sha256 } = start;
  const expires = start.expires.slice(0, 10);
  return {
    ...{ name: "", version: 1, owner: "", note: "", uses: "", role: "viewer", expires },
    presets: start.presets
      .filter((one) => one.name === preset)
      .map(({ name, sha256 }) => ({ name, sha256 })),
    ...{ neurons: [], model, model_sha256, catalogue_sha256 },
  };
}

export function draftOf(policy: Policy): Draft {
  return {
    name: policy.name,
    version: policy.version,
    owner: policy.owner,
    note: policy.note ?? "",
    uses: policy.uses.join(", "),
    role: policy.role ?? "viewer",
    expires: policy.expires,
    presets: policy.presets ?? [],
    neurons: (policy.neurons ?? []).map(lineOf),
    model: policy.model,
    model_sha256: policy.model_sha256,
    catalogue_sha256: policy.catalogue_sha256 ?? null,
  };
}

/** What is sent; the server says what is wrong with it. */
export function written(draft: Draft): object {
  return {
    ...draft,
    schema: 1,
    uses: draft.uses.split(/[\s,、，]+/).filter(Boolean),
    neurons: draft.neurons.filter((line) => line.neuron.trim()).map(limitOf),
  };
}

function lineOf(limit: Limit): LimitLine {
  const typed = (range: readonly number[] | null | undefined): [string, string] =>
    range ? [String(range[0]), String(range[1])] : ["", ""];
  return {
    neuron: limit.neuron,
    set: typed(limit.set),
    add: typed(limit.add),
    scale: typed(limit.scale),
    suppress: limit.suppress ?? false,
  };
}

function limitOf(line: LimitLine): object {
  const told: Record<string, unknown> = { neuron: line.neuron.trim(), suppress: line.suppress };
  for (const name of RANGES) {
    const [low, high] = line[name];
    if (low.trim() || high.trim()) told[name] = [numberOf(low), numberOf(high)];
  }
  return told;
}

/** A number where it is one; else what was typed, which the server refuses with a reason. */
function numberOf(typed: string): number | string {
  const plain = typed.normalize("NFKC").replace("\u2212", "-").trim();
  return plain && Number.isFinite(Number(plain)) ? Number(plain) : plain;
}

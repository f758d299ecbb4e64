/** What may be said of candidates, as the report of a run says it. */

import type { Candidate } from "../api/client";

export type Group = "full" | "light" | "control";

export function groupOf(one: Candidate): Group {
  if (one.control || one.kind === "control") return "control";
  return one.kind === "full" && one.precision !== "int8" ? "full" : "light";
}

/** Milliseconds of one answer: the mean where the work differs from text to text, else the median. */
export function latencyOf(one: Candidate): number {
  const mean = one.cost.latency_ms_mean;
  return one.kind === "dynamic" && mean ? mean : one.cost.latency_ms_p50;
}

export interface Pace {
  now: number;
  before: number | null;
  ratio: number;
}

/** How fast a candidate answers against the full model: means against means, medians against medians. */
export function paceOf(one: Candidate, full: Candidate | undefined): Pace {
  const now = one.cost.latency_ms_mean;
  const before = full?.cost.latency_ms_mean;
  if (one.kind === "dynamic" && now && before) return { now, before, ratio: before / now };
  return {
    now: one.cost.latency_ms_p50,
    before: full?.cost.latency_ms_p50 ?? null,
    ratio: one.relative.speedup,
  };
}

export interface Wish {
  accuracy: number | null;
  ms: number | null;
  bytes: number | null;
}

/** Read a wish from an address: percent, milliseconds, megabytes. */
export function wishOf(asked: URLSearchParams): Wish {
  const read = (name: string, unit: number): number | null => {
    const text = asked.get(name);
    const value = text === null ? Number.NaN : Number(text) * unit;
    return Number.isFinite(value) && value > 0 ? value : null;
  };
  return { accuracy: read("acc", 0.01), ms: read("ms", 1), bytes: read("mb", 1e6) };
}

export const isAsked = (wish: Wish): boolean =>
  wish.accuracy !== null || wish.ms !== null || wish.bytes !== null;

/** Limits are rounded when they are written to an address; so much is forgiven. */
const ROUNDED = { share: 0.0005, ratio: 1.005 };

/** Limits that a candidate misses. */
export function misses(one: Candidate, wish: Wish): (keyof Wish)[] {
  const found: (keyof Wish)[] = [];
  if (wish.accuracy !== null && one.quality.accuracy < wish.accuracy - ROUNDED.share) found.push("accuracy");
  if (wish.ms !== null && latencyOf(one) > wish.ms * ROUNDED.ratio) found.push("ms");
  if (wish.bytes !== null && one.cost.size_bytes > wish.bytes * ROUNDED.ratio) found.push("bytes");
  return found;
}

/** A comparison that is better than a model beyond chance, the best one: then the model has no point. */
export function simplerAndBetter(candidates: Candidate[], one: Candidate): Candidate | null {
  const found = candidates.filter((other) => groupOf(other) === "control" && isSurelyBetter(other, one));
  found.sort((a, b) => b.quality.accuracy - a.quality.accuracy);
  return found[0] ?? null;
}

/** Whether the interval of a difference lies above zero, worked out as if the rows differed. */
function isSurelyBetter(first: Candidate, second: Candidate): boolean {
  const half = ({ quality }: Candidate) => (quality.accuracy_ci95[1] - quality.accuracy_ci95[0]) / 2;
  return first.quality.accuracy - second.quality.accuracy > Math.hypot(half(first), half(second));
}

/** What to compare first: the recommendation, or where that is the full model, the best other. */
export function toCompare(candidates: Candidate[], recommended: string): string {
  const own = candidates.find((one) => one.name === recommended);
  if (own && groupOf(own) !== "full") return own.name;
  const light = candidates.filter((one) => groupOf(one) === "light");
  light.sort((a, b) => b.quality.accuracy - a.quality.accuracy);
  return light[0]?.name ?? recommended;
}

export interface Met {
  candidate: Candidate;
  misses: (keyof Wish)[];
}

/** The fastest candidate within all limits; where there is none, the one that misses least. */
export function fulfil(candidates: Candidate[], wish: Wish): Met | null {
  const pool = candidates.filter((one) => groupOf(one) !== "control");
  const judged = pool.map((one) => ({ candidate: one, misses: misses(one, wish) }));
  judged.sort(
    (a, b) =>
      a.misses.length - b.misses.length ||
      shortfall(a.candidate, wish) - shortfall(b.candidate, wish) ||
      latencyOf(a.candidate) - latencyOf(b.candidate),
  );
  return judged[0] ?? null;
}

/** How far a candidate is from a wish: ratios of costs and points of quality on one scale. */
function shortfall(one: Candidate, wish: Wish): number {
  const over = (value: number, limit: number | null) =>
    limit === null ? 0 : Math.max(0, Math.log2(value / limit));
  const under = wish.accuracy === null ? 0 : Math.max(0, wish.accuracy - one.quality.accuracy);
  return over(latencyOf(one), wish.ms) + over(one.cost.size_bytes, wish.bytes) + under * 50;
}

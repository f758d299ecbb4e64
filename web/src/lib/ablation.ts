/** The test of an explanation: the named words are left out, and random words beside them. */

import type { Label, Schemas } from "../api/client";

export type WordShare = Schemas["WordShare"];

export const N_RANDOM = 20;

/** Least probability, so that leads stay finite; the server's explanations use the same. */
const LEAST = 1e-9;

/** A text without some of its words; places count characters, not halves of surrogate pairs. */
export function without(text: string, words: WordShare[]): string {
  const letters = Array.from(text);
  const gone = new Set(words.flatMap((word) => range(word.start, word.end)));
  return letters.filter((_, place) => !gone.has(place)).join("");
}

/** How far a label is ahead of another one, in nats. */
export function lead(answer: Label, label: string, against: string): number {
  const p = (name: string) => Math.max(LEAST, answer.probabilities[name] ?? 0);
  return Math.log(p(label)) - Math.log(p(against));
}

/** The words that speak most for the label. */
export function strongest(words: WordShare[], n: number): WordShare[] {
  return [...words]
    .filter((word) => word.share > 0)
    .sort((a, b) => b.share - a.share)
    .slice(0, n);
}

/** Random sets of as many words, other than the named ones; the same text gives the same sets. */
export function randomSets(words: WordShare[], named: WordShare[], text: string): WordShare[][] {
  const random = generator(text);
  const rest = words.filter((word) => !named.includes(word));
  return Array.from({ length: N_RANDOM }, () => {
    const pool = [...rest];
    return named.map(() => pool.splice(Math.floor(random() * pool.length), 1)[0]!);
  });
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, offset) => start + offset);
}

/** Mulberry32, seeded with an FNV-1a hash. */
function generator(seed: string): () => number {
  let state = 2166136261;
  for (const letter of seed) state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

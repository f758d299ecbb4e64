/** The parts of a model by layer, and which of them a measured candidate kept. */

import type { Schemas } from "../api/client";

export type Pathways = Schemas["PathwaysOut"];
export type Point = Schemas["MeasuredPoint"];

/** `some`: of a group of neurons it is not known which stay. */
export type Fate = "stays" | "gone" | "some";

export interface Part {
  /** Number of the head, or of the group, from 0. */
  number: number;
  /** Share of the strongest of its kind; null where it was not measured. */
  importance: number | null;
  fate: Fate;
}

export interface Layer {
  number: number;
  name: string;
  heads: Part[];
  groups: Part[];
  neurons: { kept: number; of: number };
}

/** Lay out every layer of the full model as one candidate left it. */
export function layersOf(found: Pathways, point: Point | null, method: string | null): Layer[] {
  const scores = found.importance.find((one) => one.method === method) ?? null;
  const kept = new Map(point?.kept.map((one) => [one.layer, one]));
  return found.layers.map((layer, row) => {
    const left = kept.get(layer.layer);
    const stays = new Set(left?.heads);
    const neurons = { kept: left?.n_neurons ?? 0, of: layer.n_neurons };
    const fate: Fate = !neurons.kept ? "gone" : neurons.kept === neurons.of ? "stays" : "some";
    return {
      number: layer.layer,
      name: `L${String(layer.layer).padStart(2, "0")}`,
      heads: layer.heads.map((head, place) => ({
        number: head,
        importance: scores?.heads[row]?.[place] ?? null,
        fate: stays.has(head) ? "stays" : "gone",
      })),
      groups: (scores?.neurons[row] ?? []).map((importance, number) => ({ number, importance, fate })),
      neurons,
    };
  });
}

export interface Total {
  layers: number;
  heads: number;
  neurons: number;
}

export function totalOf(layers: Layer[], isKept: boolean): Total {
  const heads = (one: Layer) => (isKept ? one.heads.filter((head) => head.fate === "stays") : one.heads).length;
  const neurons = (one: Layer) => (isKept ? one.neurons.kept : one.neurons.of);
  const sum = (of: (one: Layer) => number) => layers.reduce((total, one) => total + of(one), 0);
  return {
    layers: layers.filter((one) => heads(one) + neurons(one) > 0).length,
    heads: sum(heads),
    neurons: sum(neurons),
  };
}

export const headName = (layer: Layer, part: Part): string =>
  `${layer.name}.H${String(part.number).padStart(2, "0")}`;

/** Few parts carry most: small shares stay visible. */
export const heatOf = (part: Part): number => Math.sqrt(part.importance ?? 0);

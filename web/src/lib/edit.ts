/** An edit of a neuron, as the form has it, as the address has it, and as it is written. */

export const MODES = ["set", "scale", "add", "suppress"] as const;
export type Mode = (typeof MODES)[number];

export const PLACES = ["all", "prompt", "answer", "last", "slice"] as const;
export type Place = (typeof PLACES)[number];

export const WHENS = ["always", "fires", "after"] as const;
export type When = (typeof WHENS)[number];

export interface Edit {
  neuron: string;
  mode: Mode;
  /** Strength as it was typed. */
  value: string;
  place: Place;
  slice: string;
  when: When;
  /** Neuron or words of the condition. */
  what: string;
}

const oneOf = <T extends string>(all: readonly T[], told: string | null): T =>
  all.find((one) => one === told) ?? all[0]!;

/** Read the edit that the form shows from an address. */
export function editOf(asked: URLSearchParams): Edit {
  return {
    neuron: asked.get("neuron") ?? "",
    mode: oneOf(MODES, asked.get("mode")),
    value: asked.get("value") ?? "",
    place: oneOf(PLACES, asked.get("at")),
    slice: asked.get("slice") ?? "",
    when: oneOf(WHENS, asked.get("when")),
    what: asked.get("what") ?? "",
  };
}

export const isNumber = (text: string): boolean =>
  text.trim() !== "" && Number.isFinite(Number(text));

/** Write an edit as the server reads it; null where something is missing. */
export function written(edit: Edit): string | null {
  const name = edit.neuron.trim();
  if (!name || (edit.mode !== "suppress" && !isNumber(edit.value))) return null;
  if (edit.place === "slice" && !/^\d*:\d*$/.test(edit.slice.trim())) return null;
  if (edit.when !== "always" && !edit.what.trim()) return null;
  const value = Number(edit.value);
  const done = {
    set: `=${value}`,
    scale: `*${value}`,
    add: value < 0 ? `${value}` : `+${value}`,
    suppress: "=off",
  }[edit.mode];
  const at =
    edit.place === "all" ? "" : `@${edit.place === "slice" ? edit.slice.trim() : edit.place}`;
  const what = edit.what.trim();
  const condition = { always: "", fires: ` if ${what} fires`, after: ` if after ${what}` }[edit.when];
  return name + done + at + condition;
}

/** Further edits stand in the address one after the other. */
export const othersOf = (asked: URLSearchParams): string[] => asked.getAll("also");

/** Compose the name of a neuron. */
export function nameOf(layer: number, site: string, index: number): string {
  const at = `L${String(layer).padStart(2, "0")}`;
  if (site === "mlp_hidden") return `${at}.M${String(index).padStart(4, "0")}`;
  return site === "block_out" ? `${at}/${index}` : `${at}.${site}/${index}`;
}

/** Whether a text is the name of a neuron, and no label. */
export const isName = (text: string): boolean => /^L\d{1,4}[./]/.test(text.trim());

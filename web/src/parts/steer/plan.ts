import { editOf, othersOf, written } from "../../lib/edit";

/** What is tried: a saved preset, or edits that were not saved. */
export interface Plan {
  preset: string | null;
  edits: string[];
  denseSites: boolean;
  use: string | null;
}

export function planOf(asked: URLSearchParams): Plan {
  const preset = asked.get("preset");
  const own = written(editOf(asked));
  const edits = [...othersOf(asked), ...(own ? [own] : [])];
  return {
    preset,
    edits: preset ? [] : edits,
    denseSites: asked.get("dense") === "1",
    use: asked.get("use"),
  };
}

export const isReady = (plan: Plan): boolean => plan.preset !== null || plan.edits.length > 0;

/** Asks the server's routes of steering; a language model writes piece by piece. */

import { key, Refusal, type Schemas } from "./client";

export type Steering = Schemas["SteeringOut"];
export type Preset = Schemas["PresetOut"];
export type Limits = Schemas["NeuronLimits"];
export type Tried = Schemas["TriedOut"];
export type SweepOut = Schemas["SweepOut"];
export type Lack = Schemas["Lack"];

export interface Writing {
  model: string;
  prompt: string;
  tokens: number;
  temperature: number;
  seed: number;
  /** Edits or a preset; neither: unsteered. */
  steer: string[];
  preset: string | null;
  denseSites: boolean;
  use: string | null;
}

/** How a text ended, and its place in the audit log. */
export interface Ending {
  finish: string;
  policy: string | null;
  record: number | null;
}

interface Piece {
  choices?: { text?: string; finish_reason?: string | null }[];
  sparsepath?: { policy: { name: string; version: number } | null; record: { seq: number } };
  error?: { code?: string; message?: string; fix?: string };
}

/** Let the model write; `tell` gets each piece as it comes. */
export async function write(
  asked: Writing,
  tell: (piece: string) => void,
  signal: AbortSignal,
): Promise<Ending> {
  const isSteered = asked.steer.length > 0 || asked.preset !== null;
  const body = {
    model: asked.model,
    prompt: asked.prompt,
    max_tokens: asked.tokens,
    temperature: asked.temperature,
    top_p: 0.95,
    seed: asked.seed,
    stream: true,
    sparsepath: isSteered
      ? {
          ...(asked.preset ? { preset: asked.preset } : { steer: asked.steer }),
          dense_sites: asked.denseSites && !asked.preset,
          use: asked.use,
        }
      : {},
  };
  const headers = new Headers({ "Content-Type": "application/json" });
  const secret = key.get();
  if (secret) headers.set("Authorization", `Bearer ${secret}`);
  let reply: Response;
  try {
    reply = await fetch("/v1/completions", {
      method: "POST",
      body: JSON.stringify(body),
      headers,
      signal,
    });
  } catch (err) {
    if (signal.aborted) throw err;
    throw new Refusal(0, "unreachable", "", "");
  }
  if (!reply.ok || !reply.body) throw refusal(reply.status, (await reply.json()) as Piece);
  const ending: Ending = { finish: "", policy: null, record: null };
  for await (const piece of events(reply.body)) {
    if (piece.error) throw refusal(500, piece);
    const [choice] = piece.choices ?? [];
    if (choice?.text) tell(choice.text);
    if (choice?.finish_reason) ending.finish = choice.finish_reason;
    if (piece.sparsepath) {
      const { policy, record } = piece.sparsepath;
      ending.policy = policy ? `${policy.name} ${policy.version}` : null;
      ending.record = record.seq;
    }
  }
  return ending;
}

function refusal(status: number, told: Piece): Refusal {
  const { code = "http", message = "", fix = "" } = told.error ?? {};
  return new Refusal(status, code, message, fix);
}

/** Read server-sent events whose data is JSON, up to the last one. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Piece> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let kept = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    kept += decoder.decode(value, { stream: true });
    const parts = kept.split("\n\n");
    kept = parts.pop() ?? "";
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data === "[DONE]") return;
      yield JSON.parse(data) as Piece;
    }
  }
}

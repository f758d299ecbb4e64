/** Asks the server; types come from its OpenAPI document. */

import type { components, operations } from "./schema";

export type Schemas = components["schemas"];
export type Start = Schemas["Start"];
export type RunLine = Schemas["RunLine"];
export type RunDetails = Schemas["RunDetails"];
export type Candidate = Schemas["Candidate"];
export type Comparison = Schemas["Comparison"];
export type ComparedRow = Schemas["ComparedRow"];
type RowsQuery = operations["list_rows_api_v1_runs__run__rows_get"]["parameters"]["query"];
export type Which = NonNullable<RowsQuery["which"]>;
export type Label = Schemas["Label"];
export type Labels = Schemas["Labels"];
export type CatalogueSummary = Schemas["CatalogueSummary"];
export type NeuronRow = Schemas["NeuronRow"];
export type NeuronDetails = Schemas["NeuronDetails"];

const KEY = "sparsepath.key";

/** What the server says when it does not do what was asked. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fix: string,
  ) {
    super(message);
  }
}

export const key = {
  get: (): string | null => sessionStorage.getItem(KEY),
  set: (value: string): void => sessionStorage.setItem(KEY, value),
  clear: (): void => sessionStorage.removeItem(KEY),
};

type Query = Record<string, string | number | readonly string[] | null | undefined>;

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path + tailOf(query), { signal: signal ?? null })).json()) as T;
}

/** Ask for a file, and let the browser keep it under a name. */
export async function download(path: string, query: Query, name: string): Promise<void> {
  const content = await (await ask(path + tailOf(query), {})).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function tailOf(query: Query): string {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") told.append(name, String(one));
    }
  }
  return told.size ? `?${told}` : "";
}

export async function post<T>(path: string, body: object): Promise<T> {
  const reply = await ask(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
  return (await reply.json()) as T;
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  const secret = key.get();
  if (secret) headers.set("Authorization", `Bearer ${secret}`);
  let reply: Response;
  try {
    reply = await fetch(`/api/v1${path}`, { ...init, headers });
  } catch (err) {
    if (init.signal?.aborted) throw err;
    throw new Refusal(0, "unreachable", "", "");
  }
  if (reply.ok) return reply;
  throw await refusal(reply);
}

async function refusal(reply: Response): Promise<Refusal> {
  try {
    const told = (await reply.json()) as { error?: Record<string, string> };
    const { code = "http", message = reply.statusText, fix = "" } = told.error ?? {};
    return new Refusal(reply.status, code, message, fix);
  } catch {
    return new Refusal(reply.status, "http", reply.statusText, "");
  }
}

export const runPath = (run: string, part = ""): string => `/runs/${encodeURIComponent(run)}${part}`;
export const cataloguePath = (name: string, part = ""): string =>
  `/concepts/${encodeURIComponent(name)}${part}`;

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

type Query = Record<string, string | number | null | undefined>;

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") told.set(name, String(value));
  }
  const tail = told.size ? `?${told}` : "";
  return ask<T>(path + tail, { signal: signal ?? null });
}

export function post<T>(path: string, body: object): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
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
  if (reply.ok) return (await reply.json()) as T;
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

/** Asks the server's routes of jobs and trainings. */

import { key, Refusal, type Schemas } from "./client";

export type Job = Schemas["JobOut"];
export type Training = Schemas["TrainingOut"];
export type Curve = Schemas["TrainingCurve"];

const ENDED = ["done", "failed", "cancelled"];
export const hasEnded = (job: Job): boolean => ENDED.includes(job.state);

/** Milliseconds until a job is looked at again. */
export const lookAgain = (job: Job | null | undefined): number | false =>
  job && !hasEnded(job) ? 2000 : false;

const TYPES: Record<string, string> = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  jsonl: "application/jsonl",
};
export const typeOf = (name: string): string | null =>
  TYPES[name.split(".").pop()?.toLowerCase() ?? ""] ?? null;

/** Send a file and begin a job on it. */
export async function sendFile(
  job: "poc" | "catalogue",
  file: File,
  asked: Record<string, string>,
): Promise<Job> {
  const headers = new Headers({ "Content-Type": typeOf(file.name) ?? "text/csv" });
  const secret = key.get();
  if (secret) headers.set("Authorization", `Bearer ${secret}`);
  let reply: Response;
  try {
    const query = new URLSearchParams(asked);
    reply = await fetch(`/api/v1/jobs/${job}?${query}`, { method: "POST", body: file, headers });
  } catch {
    throw new Refusal(0, "unreachable", "", "");
  }
  const told = (await reply.json().catch(() => ({}))) as Job & { error?: Record<string, string> };
  if (reply.ok) return told;
  const { code = "http", message = reply.statusText, fix = "" } = told.error ?? {};
  throw new Refusal(reply.status, code, message, fix);
}

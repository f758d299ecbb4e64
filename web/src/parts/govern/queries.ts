/** What several views of the screen Govern ask the server. */

import { useQuery } from "@tanstack/react-query";
import { get, type Schemas, type Start } from "../../api/client";
import { allows } from "../../lib/roles";

export const isClassifier = (start: Start): boolean => start.model.labels.length > 0;

/** Rollout and drift change by themselves, so they are asked again. */
const AGAIN_MS = 3000;

export function usePolicies() {
  return useQuery({
    queryKey: ["policies"],
    queryFn: ({ signal }) => get<Schemas["Policies"]>("/policies", {}, signal),
  });
}

export function useWaiting(start: Start, after: number) {
  return useQuery({
    queryKey: ["review", after],
    queryFn: ({ signal }) => get<Schemas["Cases"]>("/review", { after, limit: 50 }, signal),
    enabled: allows(start.role, "reviewer"),
  });
}

export function useRollout(start: Start) {
  return useQuery({
    queryKey: ["rollout"],
    queryFn: ({ signal }) => get<Schemas["RolloutState"]>("/rollout", {}, signal),
    enabled: allows(start.role, "operator"),
    refetchInterval: AGAIN_MS,
  });
}

export function useKeys(start: Start) {
  return useQuery({
    queryKey: ["keys"],
    queryFn: ({ signal }) => get<Schemas["Keys"]>("/keys", {}, signal),
    enabled: allows(start.role, "admin"),
  });
}

export function useDrift(start: Start) {
  return useQuery({
    queryKey: ["drift"],
    queryFn: ({ signal }) => get<Schemas["Drifts"]>("/drift", {}, signal),
    enabled: allows(start.role, "operator") && isClassifier(start),
    refetchInterval: AGAIN_MS,
  });
}

/** The state of a screen is in its address, so that a link shows the same view. */

import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

export type Change = Record<string, string | number | null | undefined>;

/** Read the address's query, and change some of it; `null` takes a part away. */
export function useAddress(): [
  URLSearchParams,
  (change: Change, how?: { path?: string; push?: boolean }) => void,
] {
  const search = useSearch();
  const [path, go] = useLocation();
  const asked = new URLSearchParams(search);
  const change = useCallback(
    (parts: Change, how: { path?: string; push?: boolean } = {}) => {
      const told = new URLSearchParams(window.location.search);
      for (const [name, value] of Object.entries(parts)) {
        if (value === null || value === undefined || value === "") told.delete(name);
        else told.set(name, String(value));
      }
      go(withQuery(how.path ?? path, told), { replace: !how.push });
    },
    [go, path],
  );
  return [asked, change];
}

/** Write an address that keeps the language. */
export function linkTo(path: string, parts: Change = {}): string {
  const told = new URLSearchParams();
  const lang = new URLSearchParams(window.location.search).get("lang");
  if (lang) told.set("lang", lang);
  for (const [name, value] of Object.entries(parts)) {
    if (value !== null && value !== undefined && value !== "") told.set(name, String(value));
  }
  return withQuery(path, told);
}

function withQuery(path: string, told: URLSearchParams): string {
  return told.size ? `${path}?${told}` : path;
}

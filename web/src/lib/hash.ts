/** A user's text is in the part of the address after `#`, which no browser sends to a server. */

import { useEffect, useState } from "react";
import { useSearch } from "wouter";

export function useHashText(): [string, (text: string) => void] {
  const [text, setText] = useState(
    () => new URLSearchParams(window.location.hash.slice(1)).get("text") ?? "",
  );
  const search = useSearch();
  // Whatever changes the rest of the address takes this part away.
  useEffect(() => {
    const hash = text ? `#text=${encodeURIComponent(text)}` : "";
    if (window.location.hash !== hash) {
      window.history.replaceState(null, "", window.location.pathname + window.location.search + hash);
    }
  }, [text, search]);
  return [text, setText];
}

/** Let the browser keep content as a file. */
export function saveJson(content: object, name: string): void {
  const url = URL.createObjectURL(
    new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }),
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** The text in the part of the address after `#`, which no browser sends to a server. */
export const textOfAddress = (): string =>
  new URLSearchParams(window.location.hash.slice(1)).get("text") ?? "";

export function keepInAddress(text: string): void {
  window.history.replaceState(null, "", `#text=${encodeURIComponent(text)}`);
}

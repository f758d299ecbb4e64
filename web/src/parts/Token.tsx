/** A token with its white space made visible. */
export function Token({ text, heat, title }: { text: string; heat?: number; title?: string }) {
  return (
    <code className="token" translate="no" title={title} style={heat ? { "--heat": heat } : undefined}>
      {visible(text)}
    </code>
  );
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

const hex = (letter: string): string =>
  `\\x${(letter.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`;

export function visible(text: string): string {
  const told = text.replaceAll("\n", "\u23ce").replaceAll("\t", "\u21e5").replace(CONTROL, hex);
  return told.startsWith(" ") ? `\u00b7${told.slice(1)}` : told || "\u2205";
}

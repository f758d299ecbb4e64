import { useState } from "react";
import { useWords } from "../words";

interface Props {
  lines: string[];
  /** Something else than a command, to be copied too. */
  isText?: boolean;
}

/** Lines for a terminal, with a button that copies them. */
export function Command({ lines, isText = false }: Props) {
  const { say } = useWords();
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(lines.join("\n"));
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div className={isText ? "command no-prompt" : "command"}>
      <pre tabIndex={0}>
        {lines.map((line) => (
          <code key={line}>{line}</code>
        ))}
      </pre>
      {/* A page that came over plain HTTP from another machine has no clipboard. */}
      {window.isSecureContext ? (
        <button className="plain" onClick={() => void copy()}>
          {isCopied ? say("app.copied") : say("app.copy")}
        </button>
      ) : null}
    </div>
  );
}

/** Quote a word for a shell. */
export function quoted(word: string): string {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

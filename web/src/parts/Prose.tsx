/** A sentence in which `words` between backticks are code. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, number) => (number % 2 ? <code key={number}>{part}</code> : part));
}

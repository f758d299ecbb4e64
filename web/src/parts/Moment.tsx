import { useWords } from "../words";

/** A time as the visitor's clock shows it; its UTC form is in the tooltip. */
export function Moment({ utc }: { utc: string }) {
  const { f } = useWords();
  return (
    <time dateTime={utc} title={utc}>
      {f.date(utc)}
    </time>
  );
}

/** The beginning of a hash; all of it in the tooltip. */
export function Hash({ of }: { of: string }) {
  return (
    <code className="short-hash" title={of}>
      {of.slice(0, 16)}
    </code>
  );
}

import { useWords } from "../../words";

/** A firing rate as a bar beside its figure. */
export function Share({ value, most }: { value: number; most: number }) {
  const { f } = useWords();
  return (
    <span className="rate">
      <span className="bar" aria-hidden="true">
        <span style={{ width: `${(100 * value) / most}%` }} />
      </span>
      <span className="number">{f.percent(value, 2)}</span>
    </span>
  );
}

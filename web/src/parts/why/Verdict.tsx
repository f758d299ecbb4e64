import type { ReactNode } from "react";
import { useWords } from "../../words";

interface Props {
  verdict: "good" | "weak" | "none";
  children?: ReactNode;
}

/** Whether an explanation held in its own test. */
export function Verdict({ verdict, children }: Props) {
  const { say } = useWords();
  const tone = { good: "good", weak: "bad", none: "quiet" }[verdict];
  return (
    <p className="verdict">
      <strong className={tone}>{say(`inside.verdict.${verdict}`)}</strong> {children}
    </p>
  );
}

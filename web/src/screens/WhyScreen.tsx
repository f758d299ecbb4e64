import type { Start } from "../api/client";
import { LabelQuestion } from "../parts/why/LabelQuestion";
import { TokenQuestion } from "../parts/why/TokenQuestion";
import { useWords } from "../words";

export default function WhyScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const sorts = start.model.labels.length > 0;
  return (
    <>
      <h1>{say(sorts ? "why.title" : "token.title")}</h1>
      {sorts ? <LabelQuestion start={start} /> : <TokenQuestion />}
    </>
  );
}

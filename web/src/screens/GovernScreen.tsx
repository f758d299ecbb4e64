import type { ComponentType } from "react";
import { Link } from "wouter";
import type { Start } from "../api/client";
import { linkTo } from "../lib/address";
import { QUESTIONS, type Question } from "../lib/govern";
import { Audit } from "../parts/govern/Audit";
import { DriftView } from "../parts/govern/Drift";
import { KeysView } from "../parts/govern/Keys";
import { Overview } from "../parts/govern/Overview";
import { Policies } from "../parts/govern/Policies";
import { Report } from "../parts/govern/Report";
import { Review } from "../parts/govern/Review";
import { RolloutView } from "../parts/govern/Rollout";
import { useWords } from "../words";

const VIEWS: Record<Question, ComponentType<{ start: Start }>> = {
  policies: Policies,
  review: Review,
  rollout: RolloutView,
  drift: DriftView,
  audit: Audit,
  report: Report,
  keys: KeysView,
};

/** One question a view; each has its own address. */
export default function GovernScreen({ start, question }: { start: Start; question: string }) {
  const { say } = useWords();
  const chosen = QUESTIONS.find((one) => one === question);
  const View = chosen ? VIEWS[chosen] : question ? null : Overview;
  return (
    <>
      <nav className="tabs" aria-label={say("govern.nav")}>
        <Link href={linkTo("/govern")} aria-current={question ? undefined : "page"}>
          {say("govern.overview")}
        </Link>
        {QUESTIONS.map((one) => (
          <Link
            key={one}
            href={linkTo(`/govern/${one}`)}
            aria-current={one === chosen ? "page" : undefined}
          >
            {say(`govern.${one}`)}
          </Link>
        ))}
      </nav>
      {View ? <View start={start} /> : <p>{say("trouble.unknown")}</p>}
    </>
  );
}

import { useQuery } from "@tanstack/react-query";
import { get, type Start } from "../api/client";
import type { Steering } from "../api/steer";
import { useAddress } from "../lib/address";
import { Loading, Trouble } from "../parts/Notice";
import { Prose } from "../parts/Prose";
import { AnswerBoth } from "../parts/steer/AnswerBoth";
import { AskApproval } from "../parts/steer/AskApproval";
import { EditForm } from "../parts/steer/EditForm";
import { Others } from "../parts/steer/Others";
import { Presets } from "../parts/steer/Presets";
import { planOf } from "../parts/steer/plan";
import { SavePreset } from "../parts/steer/SavePreset";
import { Sweep } from "../parts/steer/Sweep";
import { WriteBoth } from "../parts/steer/WriteBoth";
import { useWords } from "../words";

export default function SteerScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const found = useQuery({
    queryKey: ["steering"],
    queryFn: ({ signal }) => get<Steering>("/steering", {}, signal),
  });
  return (
    <>
      <h1>{say("steer.title")}</h1>
      {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data?.kind ? <Known steering={found.data} start={start} /> : null}
      {found.data && !found.data.kind ? (
        <div className="notice">
          <p>
            <strong>{say("steer.cannot")}</strong>
          </p>
          {found.data.lacks.map((one) => (
            <p key={one.what}>{`${one.why}. ${say("trouble.fix", { fix: one.fix })}`}</p>
          ))}
        </div>
      ) : null}
    </>
  );
}

function Known({ steering, start }: { steering: Steering; start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const plan = planOf(asked);
  const wanted = steering.presets.find((one) => one.name === asked.get("approve") && !one.trouble);
  const isLanguage = steering.kind === "language-model";
  return (
    <>
      <p>
        {say(isLanguage ? "steer.lead" : "steer.lead.classifier", { name: steering.model.name })}
      </p>
      {steering.is_policy_needed ? <p className="notice">{say("steer.policed")}</p> : null}
      {steering.lacks
        .filter((one) => one.what !== "sweep")
        .map((one) => (
          <p key={one.what} className={one.what === "positions" ? "quiet" : "notice"}>
            {one.what === "positions" ? (
              <Prose text={say("steer.lack.positions")} />
            ) : (
              `${one.why}. ${say("trouble.fix", { fix: one.fix })}`
            )}
          </p>
        ))}
      <section className="steer-form">
        <h2>{say("steer.what")}</h2>
        <EditForm steering={steering} />
        <Others />
      </section>
      <section id="try">
        <h2>{say("steer.try")}</h2>
        {plan.preset ? (
          <p className="notice">
            {say("steer.preset", { name: plan.preset })}{" "}
            <button type="button" className="plain" onClick={() => change({ preset: null })}>
              {say("steer.preset.leave")}
            </button>
          </p>
        ) : null}
        {isLanguage ? (
          <WriteBoth steering={steering} plan={plan} />
        ) : (
          <AnswerBoth steering={steering} plan={plan} />
        )}
      </section>
      <section>
        <h2>{say("steer.sweep")}</h2>
        <Sweep steering={steering} start={start} />
      </section>
      <section>
        <h2>{say("steer.save.title")}</h2>
        <SavePreset plan={plan} role={start.role} />
        <h3>{say("steer.presets")}</h3>
        <Presets steering={steering} />
      </section>
      <section>
        <h2>{say("steer.ask")}</h2>
        {wanted ? (
          <AskApproval key={wanted.name} steering={steering} preset={wanted} role={start.role} />
        ) : (
          <p>{say("steer.ask.choose")}</p>
        )}
      </section>
    </>
  );
}

import { Link } from "wouter";
import type { Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { stageName, type Rollout, type RolloutState, type Stage } from "../../lib/govern";
import { useWords } from "../../words";
import { Gated } from "../Deed";
import { Hash, Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { GateTable } from "./GateTable";
import { Pair } from "./PolicyPage";
import { useRollout } from "./queries";
import { RolloutCharts } from "./RolloutCharts";
import { RolloutDeeds } from "./RolloutDeeds";
import { RolloutStart } from "./RolloutStart";
import { StageTable } from "./StageTable";

const STEPS: readonly Stage[] = ["shadow", "canary", "full"];

export function RolloutView({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <>
      <h1>{say("rollout.title")}</h1>
      <Gated role={start.role} least="operator">
        <Asked start={start} />
      </Gated>
    </>
  );
}

function Asked({ start }: { start: Start }) {
  const { say } = useWords();
  const found = useRollout(start);
  if (found.error && !found.data) {
    return <Trouble error={found.error} retry={() => void found.refetch()} />;
  }
  if (!found.data) return <Loading />;
  const { rollout } = found.data;
  const isOver = !rollout || rollout.stage === "full" || rollout.stage === "rolled-back";
  return (
    <>
      {found.error ? <Trouble error={found.error} /> : null}
      {rollout ? <Told start={start} state={found.data} rollout={rollout} /> : null}
      {isOver ? (
        <section>
          <h2>{say("rollout.begin")}</h2>
          <p>{say("rollout.begin.about", { name: found.data.answers })}</p>
          <RolloutStart start={start} />
        </section>
      ) : null}
    </>
  );
}

interface ToldProps {
  start: Start;
  state: RolloutState;
  rollout: Rollout;
}

function Told({ start, state, rollout }: ToldProps) {
  const { say, f } = useWords();
  return (
    <>
      <Steps rollout={rollout} />
      <p className="lead" role="status">
        {say(`rollout.now.${rollout.stage}`, {
          old: rollout.old.name,
          new: rollout.new.name,
          share: f.percent(rollout.share, 0),
        })}
      </p>
      {rollout.asked ? (
        <p className="notice" role="note">
          <strong>
            {say(rollout.asked.action === "promote" ? "rollout.asks.promote" : "rollout.asks.back")}
          </strong>{" "}
          {rollout.asked.why}
        </p>
      ) : null}
      {state.notes.map((one) => (
        <p key={one} className="notice" role="note">
          {one}
        </p>
      ))}
      <RolloutDeeds start={start} rollout={rollout} />
      <section>
        <h2>{say("rollout.measured")}</h2>
        <RolloutCharts start={start} rollout={rollout} />
        <details>
          <summary>{say("rollout.figures")}</summary>
          <StageTable rollout={rollout} />
        </details>
      </section>
      <section>
        <h2>{say("rollout.gates")}</h2>
        <GateTable rollout={rollout} />
      </section>
      <section>
        <h2>{say("rollout.evidence")}</h2>
        <dl className="pairs">
          <Pair name={say("rollout.old")}>
            {rollout.old.name} ({rollout.old.precision}) <Hash of={rollout.old.sha256} />
          </Pair>
          <Pair name={say("rollout.new")}>
            {rollout.new.name} ({rollout.new.precision}) <Hash of={rollout.new.sha256} />
          </Pair>
          <Pair name={say("rollout.began")}>
            <Moment utc={rollout.began} />,{" "}
            <Link href={linkTo("/govern/audit", { record: rollout.first_seq })}>
              {say("record.number", { number: rollout.first_seq })}
            </Link>
          </Pair>
          <Pair name={say("rollout.changed")}>
            {rollout.by}, <Moment utc={rollout.changed} />,{" "}
            <Link href={linkTo("/govern/audit", { kind: "rollout" })}>{say("rollout.history")}</Link>
          </Pair>
          <Pair name={say("rollout.servers")}>
            {rollout.servers.length ? (
              rollout.servers.map((one) => (
                <span key={one.id} className="beside">
                  <span className={one.is_live && !one.note ? "good" : "bad"}>
                    {one.id.slice(0, 12)} {say(one.is_live ? "rollout.server.live" : "rollout.server.gone")}
                  </span>
                  {one.note ? `: ${one.note}` : null}
                </span>
              ))
            ) : (
              <span className="quiet">{say("rollout.server.none")}</span>
            )}
          </Pair>
        </dl>
      </section>
    </>
  );
}

/** The way of a rollout, and where on it this one is. */
function Steps({ rollout }: { rollout: Rollout }) {
  const { say, f } = useWords();
  const place = STEPS.indexOf(rollout.stage);
  const isBack = rollout.stage === "rolled-back";
  return (
    <ol className="steps" aria-label={say("rollout.stages")}>
      {STEPS.map((stage, at) => (
        <li
          key={stage}
          className={!isBack && at < place ? "done" : ""}
          aria-current={at === place ? "step" : undefined}
        >
          <strong>{stageName(stage, say)}</strong>
          {stage === "canary" ? <span> {f.percent(rollout.share, 0)}</span> : null}
          <small>{say(`stage.${stage}.about`)}</small>
        </li>
      ))}
      {isBack ? (
        <li aria-current="step" className="back">
          <strong>{stageName("rolled-back", say)}</strong>
          <small>{say("stage.rolled-back.about")}</small>
        </li>
      ) : null}
    </ol>
  );
}

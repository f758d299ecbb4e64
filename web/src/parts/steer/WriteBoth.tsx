import { useEffect, useRef, useState } from "react";
import { write, type Ending, type Steering } from "../../api/steer";
import { useHashText } from "../../lib/hash";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { TextBox } from "../TextBox";
import { isReady, type Plan } from "./plan";
import { UseField } from "./UseField";

interface Half {
  text: string;
  ending: Ending | null;
  error: Error | null;
}

const EMPTY: Half = { text: "", ending: null, error: null };
const SIDES = ["plain", "steered"] as const;
type Side = (typeof SIDES)[number];

/** Both texts are written at the same time, from the same seed. */
export function WriteBoth({ steering, plan }: { steering: Steering; plan: Plan }) {
  const { say } = useWords();
  const [prompt, setPrompt] = useHashText();
  const [how, setHow] = useState({ tokens: "60", temperature: "0.8", seed: "0" });
  const [halves, setHalves] = useState<Record<Side, Half> | null>(null);
  const [tried, setTried] = useState<Plan | null>(null);
  const running = useRef<AbortController | null>(null);
  const [isRunning, setRunning] = useState(false);
  useEffect(() => () => running.current?.abort(), []);
  const put = (side: Side, part: (half: Half) => Partial<Half>) =>
    setHalves((now) => {
      const known = now ?? { plain: EMPTY, steered: EMPTY };
      return { ...known, [side]: { ...known[side], ...part(known[side]) } };
    });
  const begin = async () => {
    running.current?.abort();
    const mine = new AbortController();
    running.current = mine;
    setHalves({ plain: EMPTY, steered: EMPTY });
    setTried(plan);
    setRunning(true);
    const one = async (side: Side) => {
      const isPlain = side === "plain";
      try {
        const ending = await write(
          {
            model: steering.model.name,
            prompt,
            tokens: Math.max(1, Math.round(Number(how.tokens)) || 1),
            temperature: Math.max(0, Number(how.temperature) || 0),
            seed: Math.max(0, Math.round(Number(how.seed)) || 0),
            steer: isPlain ? [] : plan.edits,
            preset: isPlain ? null : plan.preset,
            denseSites: plan.denseSites,
            use: plan.use,
          },
          (piece) => {
            if (!mine.signal.aborted) put(side, (half) => ({ text: half.text + piece }));
          },
          mine.signal,
        );
        put(side, () => ({ ending }));
      } catch (err) {
        if (!mine.signal.aborted) put(side, () => ({ error: err as Error }));
      }
    };
    await Promise.all(SIDES.map(one));
    if (running.current === mine) setRunning(false);
  };
  return (
    <>
      <form
        className="ask"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <TextBox
          id="prompt"
          label={say("steer.prompt")}
          placeholder={say("steer.prompt.hint")}
          rows={3}
          value={prompt}
          change={setPrompt}
        />
        <div className="row small">
          {(["tokens", "temperature", "seed"] as const).map((name) => (
            <label key={name}>
              {say(`steer.how.${name}`)}
              <input
                inputMode="decimal"
                value={how[name]}
                onChange={(event) => setHow({ ...how, [name]: event.target.value })}
              />
            </label>
          ))}
          <UseField steering={steering} />
        </div>
        <div className="row">
          <button className="primary" type="submit" disabled={isRunning || !isReady(plan)}>
            {say(isRunning ? "steer.writing" : "steer.write")}
          </button>
          {isRunning ? (
            <button
              type="button"
              onClick={() => {
                running.current?.abort();
                setRunning(false);
              }}
            >
              {say("steer.stop")}
            </button>
          ) : null}
        </div>
        {isReady(plan) ? null : <p className="quiet">{say("steer.unwritten")}</p>}
      </form>
      {halves && tried ? (
        <div className="sides">
          {SIDES.map((side) => (
            <section key={side} aria-label={say(`steer.side.${side}`)}>
              <h3>{say(`steer.side.${side}`)}</h3>
              {side === "steered" ? (
                <p className="quiet">
                  <code>{tried.preset ?? tried.edits.join("; ")}</code>
                </p>
              ) : (
                <p className="quiet">{say("steer.side.same")}</p>
              )}
              {halves[side].error ? (
                <Trouble error={halves[side].error} />
              ) : (
                <p className="text" translate="no" aria-live="off">
                  <span className="quiet">{prompt}</span>
                  {halves[side].text}
                  {halves[side].ending ? null : <span className="caret" aria-hidden="true" />}
                </p>
              )}
              <Told ending={halves[side].ending} />
            </section>
          ))}
        </div>
      ) : null}
    </>
  );
}

function Told({ ending }: { ending: Ending | null }) {
  const { say } = useWords();
  if (!ending) return null;
  return (
    <p className="quiet" role="status">
      {say("steer.record", { seq: ending.record ?? "" })}
      {ending.policy ? ` ${say("steer.allowed", { policy: ending.policy })}` : null}
    </p>
  );
}

import { useId } from "react";
import type { Candidate, RunDetails } from "../api/client";
import { useAddress } from "../lib/address";
import {
  fulfil,
  groupOf,
  isAsked,
  latencyOf,
  paceOf,
  misses,
  simplerAndBetter,
  wishOf,
  type Wish,
} from "../lib/candidate";
import { useWords, type Key } from "../words";
import { Command, quoted } from "./Command";

interface Props {
  run: RunDetails;
  candidates: Candidate[];
  recommended: string;
}

const STEPS = 100;

/** Limits as sliders, and the model that meets them. */
export function WishPanel({ run, candidates, recommended }: Props) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const wish = wishOf(asked);
  const isWished = isAsked(wish);
  const own = candidates.find((one) => one.name === recommended);
  const met = isWished || !own ? fulfil(candidates, wish) : { candidate: own, misses: [] };
  const pool = candidates.filter((one) => groupOf(one) !== "control");
  const accuracies = pool.map((one) => one.quality.accuracy);
  return (
    <section className="wish">
      <div className="limits">
        <h2>{say("poc.wish")}</h2>
        <p className="quiet">{say("poc.wish.about")}</p>
        <Limit
          name={say("poc.wish.accuracy")}
          value={wish.accuracy}
          ends={[Math.max(0, Math.min(...accuracies) - 0.01), Math.max(...accuracies)]}
          isLog={false}
          isLeast
          write={(value) => f.percent(value)}
          set={(value) => change({ acc: value === null ? null : (value * 100).toFixed(1) })}
        />
        <Limit
          name={say("poc.wish.latency")}
          value={wish.ms}
          ends={endsOf(pool.map(latencyOf))}
          isLog
          isLeast={false}
          write={f.ms}
          set={(value) => change({ ms: value === null ? null : value.toPrecision(3) })}
        />
        <Limit
          name={say("poc.wish.size")}
          value={wish.bytes}
          ends={endsOf(pool.map((one) => one.cost.size_bytes))}
          isLog
          isLeast={false}
          write={f.bytes}
          set={(value) => change({ mb: value === null ? null : (value / 1e6).toPrecision(3) })}
        />
        <button disabled={!isWished} onClick={() => change({ acc: null, ms: null, mb: null })}>
          {say("poc.wish.reset")}
        </button>
      </div>
      <div className="met" aria-live="polite">
        {met && met.misses.length ? (
          <p className="notice">
            {say("poc.nothing", {
              name: met.candidate.name,
              why: misses(met.candidate, wish)
                .map((miss) => missed(miss, met.candidate))
                .join(", "),
            })}
          </p>
        ) : met ? (
          <Chosen
            run={run}
            one={met.candidate}
            candidates={candidates}
            title={isWished ? "poc.meets" : "poc.recommended"}
          />
        ) : null}
      </div>
    </section>
  );

  function missed(miss: keyof Wish, one: Candidate): string {
    if (miss === "accuracy") {
      return say("poc.miss.accuracy", { value: f.percent(one.quality.accuracy) });
    }
    if (miss === "ms") return say("poc.miss.latency", { value: f.ms(latencyOf(one)) });
    return say("poc.miss.size", { value: f.bytes(one.cost.size_bytes) });
  }
}

function Chosen(props: { run: RunDetails; one: Candidate; candidates: Candidate[]; title: Key }) {
  const { say, f, lang } = useWords();
  const { one, run, title } = props;
  const [, change] = useAddress();
  const full = props.candidates.find((item) => groupOf(item) === "full");
  const isFull = one === full;
  const simpler = simplerAndBetter(props.candidates, one);
  const pace = paceOf(one, full);
  const smaller = 1 / one.relative.size_ratio;
  const range = one.relative.accuracy_change_ci95;
  const folder = `RUN/${one.folder ?? ""}`;
  return (
    <>
      <h2>{say(title)}</h2>
      <p className="name">
        {one.name} <span className="tag">{say(`poc.kind.${one.kind}`)}</span>
        {one.precision === "int8" ? <span className="tag">int8</span> : null}
      </p>
      <div className="figures">
        <p>
          <strong>{f.percent(one.quality.accuracy)}</strong> {say("poc.correct")}
          <small>
            {isFull
              ? say("poc.same")
              : range
                ? say("poc.change", {
                    change: f.points(one.relative.accuracy_change),
                    range: f.pointsRange(range),
                  })
                : say("poc.change.alone", {
                    range: `${f.percent(one.quality.accuracy_ci95[0])} \u2013 ${f.percent(one.quality.accuracy_ci95[1])}`,
                  })}
          </small>
        </p>
        <p>
          <strong>{isFull ? f.ms(pace.now) : f.ratio(pace.ratio)}</strong>{" "}
          {isFull ? null : say("poc.faster")}
          {pace.before !== null && !isFull ? (
            <small>
              {say("poc.faster.about", { ms: f.ms(pace.now), full: f.ms(pace.before) })}
            </small>
          ) : null}
        </p>
        <p>
          <strong>
            {isFull
              ? f.bytes(one.cost.size_bytes)
              : lang === "ja"
                ? f.ratio(smaller).replace(" 倍", "")
                : f.ratio(smaller)}
          </strong>{" "}
          {isFull ? null : say("poc.smaller")}
          {full && !isFull ? (
            <small>
              {say("poc.smaller.about", {
                size: f.bytes(one.cost.size_bytes),
                full: f.bytes(full.cost.size_bytes),
              })}
            </small>
          ) : null}
        </p>
      </div>
      {simpler ? (
        <p className="notice">
          {say("poc.simpler", { name: simpler.name, accuracy: f.percent(simpler.quality.accuracy) })}
        </p>
      ) : null}
      {title === "poc.meets" ? <p className="quiet">{say("poc.honest")}</p> : null}
      {run.has_answers && !isFull ? (
        <p>
          <a
            href="#compare"
            onClick={() => change({ first: full?.name ?? null, second: one.name })}
          >
            {say("poc.take.evidence")}
          </a>
        </p>
      ) : null}
      {one.folder ? (
        <details>
          <summary>{say("poc.take")}</summary>
          <p>{say("poc.take.serve")}</p>
          <Command lines={[`sparsepath serve ${quoted(folder)}${int8(one)}`]} />
          <p>{say("poc.take.export")}</p>
          <Command lines={[`sparsepath export ${quoted(folder)} --to onnx -o ${quoted(one.name)}`]} />
        </details>
      ) : null}
    </>
  );
}

const int8 = (one: Candidate): string => (one.precision === "int8" ? " --precision int8" : "");

interface LimitProps {
  name: string;
  value: number | null;
  ends: readonly [number, number];
  isLog: boolean;
  /** Whether it is a lower limit; then its loose end is the left one. */
  isLeast: boolean;
  write: (value: number) => string;
  set: (value: number | null) => void;
}

/** A slider whose loose end means no limit. */
function Limit({ name, value, ends, isLog, isLeast, write, set }: LimitProps) {
  const id = useId();
  const [low, high] = ends;
  const loose = isLeast ? low : high;
  const shown = value ?? loose;
  const share = isLog ? Math.log(shown / low) / Math.log(high / low) : (shown - low) / (high - low);
  const step = Math.round(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * STEPS);
  const valueAt = (at: number) =>
    isLog ? low * (high / low) ** (at / STEPS) : low + ((high - low) * at) / STEPS;
  return (
    <div className="limit">
      <label htmlFor={id}>{name}</label>
      <output htmlFor={id}>{write(shown)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        value={step}
        aria-valuetext={write(shown)}
        onChange={(event) => {
          const at = Number(event.target.value);
          set(at === (isLeast ? 0 : STEPS) ? null : valueAt(at));
        }}
      />
    </div>
  );
}

/** Ends of a slider of costs, a little beyond the values so that rounding leaves none out. */
function endsOf(values: number[]): readonly [number, number] {
  return [Math.min(...values) * 1.01, Math.max(...values) * 1.02];
}

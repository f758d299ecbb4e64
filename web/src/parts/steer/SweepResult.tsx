import { useState } from "react";
import type { SweepOut } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { SweepChart, type Point } from "./SweepChart";

/** Points of both kinds of model in one shape. */
function pointsOf(found: SweepOut): Point[] {
  if (found.sweep) {
    return found.sweep.points.map((one) => ({
      way: one.way,
      strength: one.strength,
      effect: one.share,
      interval: one.share_ci95,
      cost: one.bits_ratio - 1,
      second: one.repetition,
      isHarmless: one.is_fluent,
      example: one.example ?? "",
    }));
  }
  const points = found.class_sweep?.points ?? [];
  const base = points[0]?.accuracy ?? null;
  return points.map((one) => ({
    way: one.way,
    strength: one.strength,
    effect: one.share,
    interval: one.share_ci95,
    cost: one.accuracy === null || base === null ? 0 : base - one.accuracy,
    second: null,
    isHarmless: one.is_harmless,
    example: "",
  }));
}

/** What a sweep found: the recommended range, or that no strength works. */
export function SweepResult({ found }: { found: SweepOut }) {
  const { say, f } = useWords();
  const [, change] = useAddress();
  const [isAll, setAll] = useState(false);
  const told = found.sweep ?? found.class_sweep;
  if (!told) return null;
  const points = pointsOf(found);
  const n_random = points.filter((one) => one.way.startsWith("random")).length;
  const rows = isAll ? points : points.filter((one) => !one.way.startsWith("random"));
  const isLanguage = found.sweep !== null;
  const best = told.recommended;
  const way = (name: string) =>
    name === "unsteered" || name === "neuron"
      ? say(`steer.way.${name}`)
      : say("steer.way.random", { name: name.replace("random neuron ", "") });
  const carries = found.sweep
    ? found.sweep.judge.replace(/^words: /, "")
    : (found.class_sweep?.target ?? "");
  return (
    <div className="result" aria-live="polite">
      <p className="verdict">
        {best ? (
          <>
            <strong>{say("steer.best", { strength: f.short(best.strength) })}</strong>{" "}
            {best.low === best.high
              ? null
              : say("steer.best.range", { low: f.short(best.low), high: f.short(best.high) })}
          </>
        ) : (
          <strong className="bad">{say("steer.best.none")}</strong>
        )}
      </p>
      <p className="quiet">
        {best
          ? say(isLanguage ? "steer.best.about" : "steer.best.about.classifier")
          : say("steer.best.none.about")}
      </p>
      {best ? (
        <p>
          <button
            type="button"
            onClick={() =>
              change({
                neuron: told.neurons.length === 1 ? told.neurons[0] : null,
                mode: told.operation === "set" ? null : told.operation,
                value: Number(best.strength.toPrecision(4)),
                preset: null,
              })
            }
          >
            {say("steer.best.take")}
          </button>
        </p>
      ) : null}
      {found.is_of_model ? null : <p className="notice">{say("steer.sweep.other")}</p>}
      <SweepChart points={points} recommended={best} isLanguage={isLanguage} carries={carries} />
      <table className="sweep cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{say("steer.table.way")}</th>
            <th scope="col" className="number">{say("steer.value")}</th>
            <th scope="col" className="number">{say("steer.table.effect")}</th>
            <th scope="col" className="number">
              {say(isLanguage ? "steer.table.bits" : "steer.table.lost")}
            </th>
            {isLanguage ? (
              <th scope="col" className="number">{say("steer.table.repetition")}</th>
            ) : null}
            <th scope="col">{say("steer.table.harmless")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((one, number) => (
            <tr
              key={number}
              className={one.way === "neuron" && best?.strength === one.strength ? "chosen" : ""}
            >
              <th scope="row">
                {way(one.way)}
                {one.example ? (
                  <details className="example">
                    <summary>{say("steer.table.example")}</summary>
                    <span translate="no">{one.example}</span>
                  </details>
                ) : null}
              </th>
              <td className="number" data-name={say("steer.value")}>
                <span>{f.short(one.strength)}</span>
              </td>
              <td className="number" data-name={say("steer.table.effect")}>
                <span>
                  {f.percent(one.effect, 0)}{" "}
                  <span className="quiet">
                    ({f.percent(one.interval[0], 0)}{"\u2013"}{f.percent(one.interval[1], 0)})
                  </span>
                </span>
              </td>
              <td
                className="number"
                data-name={say(isLanguage ? "steer.table.bits" : "steer.table.lost")}
              >
                <span>{isLanguage ? f.percent(one.cost) : f.points(-one.cost)}</span>
              </td>
              {isLanguage ? (
                <td className="number" data-name={say("steer.table.repetition")}>
                  <span>{f.percent(one.second)}</span>
                </td>
              ) : null}
              <td data-name={say("steer.table.harmless")}>
                <span className={one.isHarmless ? "good" : "bad"}>
                  {say(one.isHarmless ? "steer.yes" : "steer.no")}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {n_random && !isAll ? (
        <p>
          <button type="button" className="plain link" onClick={() => setAll(true)}>
            {say("steer.table.random", { n: n_random })}
          </button>
        </p>
      ) : null}
      <p className="quiet">
        {found.sweep
          ? say("steer.sweep.facts", {
              n: found.sweep.points[0]?.n ?? 0,
              neutral: found.sweep.n_neutral,
              words: carries,
            })
          : say("steer.sweep.facts.classifier", {
              n: points.length ? (found.class_sweep?.points[0]?.n ?? 0) : 0,
              others: found.class_sweep?.points[0]?.n_others ?? 0,
              label: carries,
            })}
      </p>
    </div>
  );
}

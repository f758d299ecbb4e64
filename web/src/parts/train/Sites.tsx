import type { Curve } from "../../api/jobs";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";

/** How sites specialise: what they keep, and the neurons that are silent or always on, by step. */
export function Sites({ curve }: { curve: Curve }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const steps = [...new Set(curve.neurons.map((one) => one.step))];
  if (!steps.length) return null;
  const wanted = steps.indexOf(Number(asked.get("at")));
  const place = wanted < 0 ? steps.length - 1 : wanted;
  const step = steps[place]!;
  return (
    <section>
      <h2>{say("train.sites")}</h2>
      <p>{say("train.sites.about")}</p>
      {steps.length > 1 ? (
        <label className="inline">
          {say("train.sites.step", { step: f.integer(step) })}
          <input
            type="range"
            min={0}
            max={steps.length - 1}
            value={place}
            onChange={(event) => change({ at: steps[Number(event.target.value)] })}
          />
        </label>
      ) : null}
      <table>
        <thead>
          <tr>
            <th>{say("train.sites.site")}</th>
            <th className="number">k</th>
            <th className="number">{say("train.sites.dead")}</th>
            <th className="number">{say("train.sites.always")}</th>
          </tr>
        </thead>
        <tbody>
          {curve.neurons
            .filter((one) => one.step === step)
            .map((one) => (
              <tr key={one.site}>
                <td>{one.site}</td>
                <td className="number">{f.integer(one.k)}</td>
                <td className="number">{f.percent(one.dead)}</td>
                <td className="number">{f.percent(one.always)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </section>
  );
}

import { useMutation } from "@tanstack/react-query";
import { post } from "../../api/client";
import type { Steering, Tried } from "../../api/steer";
import { useHashText } from "../../lib/hash";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { TextBox } from "../TextBox";
import { isReady, type Plan } from "./plan";
import { UseField } from "./UseField";

const MOST = 10;

/** What a classifier says of a text, without and with the edits. */
export function AnswerBoth({ steering, plan }: { steering: Steering; plan: Plan }) {
  const { say, f } = useWords();
  const [text, setText] = useHashText();
  const tried = useMutation({
    mutationFn: () =>
      post<Tried>("/steering/try", {
        text,
        use: plan.use,
        ...(plan.preset ? { preset: plan.preset } : { steer: plan.edits }),
      }),
  });
  const lack = steering.lacks.find((one) => one.what === "try");
  const found = tried.data;
  const first = found ? Object.keys(found.steered)[0]! : "";
  const before = found
    ? Object.entries(found.unsteered).reduce((best, one) => (one[1] > best[1] ? one : best))[0]
    : "";
  return (
    <>
      <form
        className="ask"
        onSubmit={(event) => {
          event.preventDefault();
          tried.mutate();
        }}
      >
        <TextBox
          id="text"
          label={say("why.text")}
          placeholder={say("why.placeholder")}
          rows={3}
          value={text}
          change={setText}
        />
        <div className="row">
          <UseField steering={steering} />
          <button
            className="primary"
            type="submit"
            disabled={tried.isPending || !isReady(plan) || lack !== undefined}
          >
            {say(tried.isPending ? "why.asking" : "steer.answer")}
          </button>
        </div>
        {isReady(plan) ? null : <p className="quiet">{say("steer.unwritten")}</p>}
      </form>
      {tried.error ? <Trouble error={tried.error} /> : null}
      {found ? (
        <div aria-live="polite">
          <p className="verdict">
            {before === first
              ? say("steer.kept", { label: first })
              : say("steer.turned", { before, after: first })}
          </p>
          <table className="both cards-when-narrow">
            <thead>
              <tr>
                <th scope="col">{say("steer.label")}</th>
                <th scope="col">{say("steer.side.plain")}</th>
                <th scope="col">{say("steer.side.steered")}</th>
                <th scope="col" className="number">{say("steer.change")}</th>
              </tr>
            </thead>
            <tbody>
              {Object.entries(found.steered)
                .slice(0, MOST)
                .map(([label, share]) => {
                  const was = found.unsteered[label] ?? 0;
                  return (
                    <tr key={label}>
                      <th scope="row" translate="no">{label}</th>
                      <td data-name={say("steer.side.plain")}>
                        <Share value={was} told={f.percent(was)} />
                      </td>
                      <td data-name={say("steer.side.steered")}>
                        <Share value={share} told={f.percent(share)} />
                      </td>
                      <td className="number" data-name={say("steer.change")}>
                        <span>{f.points(share - was)}</span>
                      </td>
                    </tr>
                  );
                })}
            </tbody>
          </table>
          <p className="quiet">
            <code>{found.edits.join("; ")}</code> {say("steer.record", { seq: found.record.seq })}
            {found.policy
              ? ` ${say("steer.allowed", { policy: `${found.policy.name} ${found.policy.version}` })}`
              : null}
          </p>
        </div>
      ) : null}
    </>
  );
}

function Share({ value, told }: { value: number; told: string }) {
  return (
    <span className="share">
      <span className="bar" aria-hidden="true">
        <span style={{ width: `${value * 100}%` }} />
      </span>
      <span className="number">{told}</span>
    </span>
  );
}

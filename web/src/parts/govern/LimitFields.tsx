import { RANGES, type LimitLine } from "../../lib/policyDraft";
import { useWords } from "../../words";

interface Props {
  lines: LimitLine[];
  set: (lines: LimitLine[]) => void;
  add: () => void;
}

/** Limits of single neurons, one a line. */
export function LimitFields({ lines, set, add }: Props) {
  const { say } = useWords();
  const change = (at: number, part: Partial<LimitLine>) =>
    set(lines.map((line, place) => (place === at ? { ...line, ...part } : line)));
  return (
    <fieldset className="boxes">
      <legend>{say("draft.neurons")}</legend>
      <p className="quiet">{say("draft.neurons.about")}</p>
      {lines.map((line, at) => (
        <div key={at} className="card limit-card" role="group" aria-label={say("draft.neuron.n", { n: at + 1 })}>
          <label>
            {say("neurons.name")}
            <input
              value={line.neuron}
              placeholder="L02/117"
              onChange={(event) => change(at, { neuron: event.target.value })}
            />
          </label>
          {RANGES.map((name) => (
            <fieldset key={name} className="range">
              <legend>{say(`limit.${name}`)}</legend>
              {([0, 1] as const).map((end) => (
                <input
                  key={end}
                  inputMode="decimal"
                  aria-label={say(end ? "limit.high" : "limit.low", { what: say(`limit.${name}`) })}
                  placeholder={say(end ? "limit.to" : "limit.from")}
                  value={line[name][end]}
                  onChange={(event) => {
                    const range: [string, string] = [...line[name]];
                    range[end] = event.target.value;
                    change(at, { [name]: range });
                  }}
                />
              ))}
            </fieldset>
          ))}
          <label className="radio">
            <input
              type="checkbox"
              checked={line.suppress}
              onChange={(event) => change(at, { suppress: event.target.checked })}
            />
            {say("limit.suppress")}
          </label>
          <button
            type="button"
            className="plain"
            onClick={() => set(lines.filter((_, place) => place !== at))}
          >
            {say("draft.neuron.remove")}
          </button>
        </div>
      ))}
      <button type="button" onClick={add}>
        {say("draft.neuron.add")}
      </button>
    </fieldset>
  );
}

import { useQuery } from "@tanstack/react-query";
import { cataloguePath, get, type Schemas } from "../../api/client";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Command, quoted } from "../Command";
import { Trouble } from "../Notice";
import { Token } from "../Token";
import { Share } from "./Share";

/** What the neuron stood for at each checkpoint of its training that has a catalogue. */
export function Checkpoints({ model, name }: { model: string; name: string }) {
  const { say, lang } = useWords();
  const told = useQuery({
    queryKey: ["neuron", model, name, "moments", lang],
    queryFn: ({ signal }) =>
      get<Schemas["Moments"]>(cataloguePath(model, "/moments"), { name, lang }, signal),
  });
  if (told.error) return <Trouble error={told.error} retry={() => void told.refetch()} />;
  if (!told.data) return null;
  return (
    <section>
      <h2>{say("moments.title")}</h2>
      {told.data.moments.length ? (
        <Slider moments={told.data.moments} />
      ) : told.data.n ? (
        <p>{say("moments.absent", { n: told.data.n })}</p>
      ) : (
        <>
          <p>{say("moments.none")}</p>
          <Command lines={[`sparsepath concepts track ${quoted(told.data.training)} --corpus CORPUS`]} />
        </>
      )}
    </section>
  );
}

function Slider({ moments }: { moments: Schemas["Moment"][] }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const wanted = moments.findIndex((one) => String(one.step) === asked.get("step"));
  const place = wanted < 0 ? moments.length - 1 : wanted;
  const shown = moments[place];
  if (!shown) return null;
  const step = say("moments.step", { step: f.integer(shown.step) });
  const most = Math.max(1e-9, ...moments.map((one) => one.row.rate));
  return (
    <div className="moments">
      <label className="stops">
        <span>{say("moments.slider", { n: moments.length })}</span>
        <input
          type="range"
          min={0}
          max={moments.length - 1}
          step={1}
          value={place}
          aria-valuetext={`${step}: ${shown.row.label}`}
          onChange={(event) => change({ step: moments[Number(event.target.value)]?.step })}
        />
      </label>
      <p>
        <strong>{step}</strong>{" "}
        <span translate="no">{shown.is_dead ? say("strip.dead") : shown.row.label}</span>
      </p>
      <Share value={shown.row.rate} most={most} />
      <p className="tokens">
        {shown.row.tokens.map((text, number) => (
          <Token key={number} text={text} />
        ))}
      </p>
    </div>
  );
}

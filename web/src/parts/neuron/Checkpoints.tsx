import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { cataloguePath, get, type Schemas } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Command, quoted } from "../Command";
import { Trouble } from "../Notice";
import { Prose } from "../Prose";
import { Token } from "../Token";

interface Props {
  model: string;
  name: string;
  hash: string;
}

/** What the neuron stood for at each checkpoint of its training that has a catalogue. */
export function Checkpoints({ model, name, hash }: Props) {
  const { say, f, lang } = useWords();
  const told = useQuery({
    queryKey: ["neuron", model, name, "moments", lang],
    queryFn: ({ signal }) =>
      get<Schemas["Moments"]>(cataloguePath(model, "/moments"), { name, lang }, signal),
  });
  if (told.error) return <Trouble error={told.error} retry={() => void told.refetch()} />;
  if (!told.data) return null;
  const { moments, n_checkpoints, training, damaged } = told.data;
  const n = told.data.n - damaged.length;
  return (
    <section>
      <h2>{say("moments.title")}</h2>
      {damaged.length ? (
        <p className="notice">
          <Prose text={say("moments.damaged", { steps: damaged.map((step) => f.integer(step)).join(", ") })} />
        </p>
      ) : null}
      {moments.length ? (
        <>
          <Slider moments={moments} model={model} hash={hash} />
          {moments.length < n ? (
            <p className="quiet">{say("moments.shown", { n: f.integer(moments.length), of: f.integer(n) })}</p>
          ) : null}
        </>
      ) : n ? (
        <p>{say("moments.absent", { n: f.integer(n) })}</p>
      ) : (
        <>
          <p className="prose">
            <Prose
              text={n_checkpoints ? say("moments.none", { n: f.integer(n_checkpoints) }) : say("moments.no_checkpoints")}
            />
          </p>
          <Command lines={[`sparsepath concepts track ${quoted(training)} --corpus CORPUS`]} />
        </>
      )}
    </section>
  );
}

function Slider({ moments, model, hash }: { moments: Schemas["Moment"][]; model: string; hash: string }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const wanted = moments.findIndex((one) => String(one.step) === asked.get("step"));
  const place = wanted < 0 ? moments.length - 1 : wanted;
  const shown = moments[place];
  if (!shown) return null;
  const step = say("moments.step", { step: f.integer(shown.step) });
  const most = Math.max(1e-9, ...moments.map((one) => one.row.rate));
  const said = shown.is_dead ? say("moments.dead") : shown.row.label;
  return (
    <div className="moments">
      <label>
        {say("moments.slider", { n: f.integer(moments.length) })}
        <span className="rates" aria-hidden="true">
          {moments.map((one, number) => (
            <i
              key={one.step}
              className={number === place ? "now" : undefined}
              style={{ height: `${one.is_dead ? 0 : Math.max(3, (100 * one.row.rate) / most)}%` }}
            />
          ))}
        </span>
        <input
          type="range"
          min={0}
          max={moments.length - 1}
          step={1}
          value={place}
          aria-valuetext={`${step}: ${said}`}
          onChange={(event) => change({ step: moments[Number(event.target.value)]?.step })}
        />
      </label>
      <div className="moment">
        <h3>
          {step}{shown.is_dead ? null : <>: <span translate="no">{shown.row.label}</span></>}
        </h3>
        <p>
          {say(`moments.${shown.event}`)}{" "}
          {shown.moved_to ? (
            <Link className="code" href={linkTo("/neurons", { model, neuron: shown.moved_to, step: shown.step }) + hash}>
              {shown.moved_to}
            </Link>
          ) : null}
        </p>
        {shown.is_dead ? null : (
          <>
            <p className="quiet">
              {say("moments.fires", { rate: f.percent(shown.row.rate, 2) })}
              {shown.to_last === null || place === moments.length - 1
                ? null
                : ` ${say("moments.to_last", { value: f.number(shown.to_last) })}`}
            </p>
            <p className="tokens">
              {shown.row.tokens.map((text, number) => (
                <Token key={number} text={text} />
              ))}
            </p>
          </>
        )}
      </div>
    </div>
  );
}

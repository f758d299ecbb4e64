import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { cataloguePath, get, type NeuronDetails, type Schemas, type Start } from "../api/client";
import { linkTo } from "../lib/address";
import { useHashText } from "../lib/hash";
import { useWords } from "../words";
import { Histogram } from "./Histogram";
import { Checkpoints } from "./neuron/Checkpoints";
import { FireBox } from "./neuron/FireBox";
import { LayerStrip } from "./neuron/LayerStrip";
import { Loading, Trouble } from "./Notice";
import { Remarks } from "./Remarks";
import { SteerLink } from "./steer/SteerLink";
import { Token } from "./Token";

interface Props {
  model: string;
  name: string;
  role: Start["role"];
}

export function NeuronPage({ model, name, role }: Props) {
  const { say, lang } = useWords();
  const found = useQuery({
    queryKey: ["neuron", model, name, "card", lang],
    queryFn: ({ signal }) => get<NeuronDetails>(cataloguePath(model, "/neuron"), { name, lang }, signal),
  });
  return (
    <>
      <p>
        <Link href={linkTo("/neurons", { model })}>{"\u2190"} {say("neuron.back")}</Link>
      </p>
      {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data ? <Known found={found.data} model={model} role={role} /> : null}
    </>
  );
}

function Known({ found, model, role }: { found: NeuronDetails; model: string; role: Start["role"] }) {
  const { say, f } = useWords();
  const [text, setText] = useHashText();
  const hash = text ? `#text=${encodeURIComponent(text)}` : "";
  const { row } = found;
  return (
    <>
      <h1 className="of-neuron">
        <span className="code">{row.name}</span> <span translate="no">{row.label}</span>
      </h1>
      <p className="quiet">
        {say(`neurons.origin.${row.origin as "person" | "endpoint" | "automatic"}`)}
        {row.origin === "automatic" ? null : `. ${say("neuron.automatic", { label: found.automatic })}`}
        {found.is_dead ? ` ${say("neuron.dead")}` : null}
        {found.is_always_on ? ` ${say("neuron.on")}` : null}
      </p>
      <SteerLink catalogue={model} neuron={row.name} />
      <div className="figures">
        <p>
          <strong>{f.number(row.score)}</strong> {say("neuron.score")}
          <small>
            {row.score === null
              ? say("neuron.score.none")
              : say("neuron.score.about", {
                  n: f.integer(found.held_out),
                  control: f.number(found.control),
                })}
          </small>
        </p>
        <p>
          <strong>{f.percent(row.rate, 2)}</strong> {say("neuron.rate")}
        </p>
        <p>
          <strong>{f.number(found.mean)}</strong> {say("neuron.mean")}
          <small>{say("neuron.mean.about", { largest: f.number(found.largest) })}</small>
        </p>
      </div>
      <div className="columns">
        <section>
          <h2>{say("neuron.examples")}</h2>
          <Examples found={found} />
        </section>
        <div>
          <FiresOn tokens={found.fires_on} />
          {found.histogram.length ? (
            <section>
              <h2>{say("neuron.histogram")}</h2>
              <Histogram bounds={found.bounds} counts={found.histogram} />
            </section>
          ) : null}
          <Changed title={say("neuron.promotes")} tokens={found.promotes} />
          <Changed title={say("neuron.demotes")} tokens={found.demotes} />
          {found.together.length ? (
            <section>
              <h2>{say("neuron.together")}</h2>
              <ul className="plain-list">
                {found.together.map(([name, share]) => (
                  <li key={name}>
                    <Link className="code" href={linkTo("/neurons", { model, neuron: name })}>
                      {name}
                    </Link>{" "}
                    <span className="quiet">{f.number(share)}</span>
                  </li>
                ))}
              </ul>
            </section>
          ) : null}
        </div>
      </div>
      <FireBox model={model} name={row.name} largest={found.largest} text={text} read={setText} />
      <LayerStrip model={model} name={row.name} hash={hash} />
      <Checkpoints model={model} name={row.name} hash={hash} />
      <section>
        <h2>{say("neuron.remarks")}</h2>
        <Remarks found={found} model={model} mayWrite={role !== "viewer"} />
      </section>
    </>
  );
}

/** Examples by how strong they are among all firings. */
function Examples({ found }: { found: NeuronDetails }) {
  const { say, f } = useWords();
  const bands = [...new Set(found.examples.map((one) => one.band))];
  const strongest = Math.max(1e-9, Math.abs(found.largest));
  const shown = (band: string) => found.examples.filter((one) => one.band === band).slice(0, 6);
  return (
    <>
      <p className="quiet">{say("neuron.examples.about")}</p>
      {bands.map((band) => (
        <div key={band}>
          <h3>
            {band === "top"
              ? say("neuron.band.top")
              : say("neuron.band.rest", { share: shareOf(band, f.percent) })}
          </h3>
          <ul className="examples">
            {shown(band).map((one, number) => (
              <li key={number}>
                <span className="number quiet">{f.number(one.value)}</span>
                <span className="context" translate="no">
                  {one.tokens.map((token, place) => (
                    <span
                      key={place}
                      className={place === one.at ? "heat at" : "heat"}
                      style={{ "--heat": Math.min(1, Math.abs(one.values[place] ?? 0) / strongest) }}
                      title={one.values[place] ? f.number(one.values[place]) : undefined}
                    >
                      {token.replaceAll("\n", "\u23ce")}
                    </span>
                  ))}
                </span>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}

function shareOf(band: string, percent: (share: number, digits?: number) => string): string {
  const share = Number(band);
  return Number.isFinite(share) ? percent(share, 0) : band;
}

function FiresOn({ tokens }: { tokens: Schemas["TokenFacts"][] }) {
  const { say, f } = useWords();
  if (!tokens.length) return null;
  return (
    <section>
      <h2>{say("neuron.fires")}</h2>
      <table className="fires">
        <thead>
          <tr>
            <th scope="col">{say("neuron.fires.token")}</th>
            <th scope="col" className="number">{say("neuron.fires.share")}</th>
            <th scope="col" className="number">{say("neuron.fires.precision")}</th>
          </tr>
        </thead>
        <tbody>
          {tokens.slice(0, 12).map((one, number) => (
            <tr key={number}>
              <th scope="row">
                <Token text={one.text} />
              </th>
              <td className="number">{f.percent(one.share)}</td>
              <td className="number">{f.percent(one.precision)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Changed({ title, tokens }: { title: string; tokens: [string, number][] | null }) {
  const { f } = useWords();
  if (!tokens?.length) return null;
  return (
    <section>
      <h2>{title}</h2>
      <p className="tokens">
        {tokens.slice(0, 14).map(([text, value], number) => (
          <Token key={number} text={text} title={f.signed(value)} />
        ))}
      </p>
    </section>
  );
}

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { cataloguePath, get, type NeuronDetails, type Schemas } from "../../api/client";
import type { Steering } from "../../api/steer";
import { linkTo } from "../../lib/address";
import { isName, nameOf } from "../../lib/edit";
import { useWords } from "../../words";

interface Props {
  steering: Steering;
  neuron: string;
  choose: (neuron: string) => void;
}

const N_FOUND = 6;

/** A neuron by its name, by a word in what the catalogue says of it, or by its place. */
export function NeuronPicker({ steering, neuron, choose }: Props) {
  const { say, f } = useWords();
  const [typed, setTyped] = useState(neuron);
  const [words, setWords] = useState("");
  const { catalogue } = steering;
  useEffect(() => setTyped(neuron), [neuron]);
  useEffect(() => {
    const text = typed.trim();
    const waiting = setTimeout(() => {
      if (text === neuron) setWords("");
      else if (!text || isName(text) || !catalogue) choose(text);
      else setWords(text);
    }, 300);
    return () => clearTimeout(waiting);
  }, [typed, neuron, catalogue, choose]);
  const found = useQuery({
    queryKey: ["steer-search", catalogue, words],
    queryFn: ({ signal }) =>
      get<Schemas["NeuronRows"]>(
        cataloguePath(catalogue ?? "", "/neurons"),
        { words, limit: N_FOUND },
        signal,
      ),
    enabled: catalogue !== null && words !== "",
    placeholderData: keepPreviousData,
  });
  const known = useQuery({
    queryKey: ["neuron", catalogue, neuron],
    queryFn: ({ signal }) =>
      get<NeuronDetails>(cataloguePath(catalogue ?? "", "/neuron"), { name: neuron }, signal),
    enabled: catalogue !== null && isName(neuron),
    retry: false,
  });
  return (
    <div className="picker">
      <label className="wide">
        {say(catalogue ? "steer.neuron.search" : "steer.neuron")}
        <input
          type="search"
          value={typed}
          spellCheck={false}
          placeholder={say(catalogue ? "steer.neuron.hint" : "steer.neuron.plain")}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      {words && found.data ? (
        <ul className="found" aria-label={say("steer.neuron.found")}>
          {found.data.neurons.map((row) => (
            <li key={row.name}>
              <button type="button" className="plain" onClick={() => choose(row.name)}>
                <span className="code">{row.name}</span> <span translate="no">{row.label}</span>{" "}
                <span className="quiet">{f.number(row.score)}</span>
              </button>
            </li>
          ))}
          {found.data.neurons.length ? null : <li className="quiet">{say("neurons.empty")}</li>}
        </ul>
      ) : null}
      {neuron && known.data && catalogue ? (
        <p>
          <Link className="code" href={linkTo("/neurons", { model: catalogue, neuron })}>
            {neuron}
          </Link>{" "}
          <strong translate="no">{known.data.row.label}</strong>
        </p>
      ) : null}
      <ByPlace steering={steering} choose={choose} />
    </div>
  );
}

/** Layer, site and number, for who knows where to look. */
function ByPlace({ steering, choose }: Pick<Props, "steering" | "choose">) {
  const { say, f } = useWords();
  const [at, setAt] = useState(0);
  const [layer, setLayer] = useState<number | null>(null);
  const [index, setIndex] = useState("0");
  const site = steering.sites[at];
  if (!site) return null;
  const chosen = layer !== null && site.layers.includes(layer) ? layer : (site.layers.at(-1) ?? 0);
  const number = Number(index);
  const isKnown = Number.isInteger(number) && number >= 0 && number < site.width && index !== "";
  return (
    <details>
      <summary>{say("steer.place")}</summary>
      <div className="row">
        <label>
          {say("steer.place.site")}
          <select value={at} onChange={(event) => setAt(Number(event.target.value))}>
            {steering.sites.map((one, place) => (
              <option key={place} value={place}>
                {one.site} {one.is_sparse ? "" : say("steer.place.dense")}
              </option>
            ))}
          </select>
        </label>
        <label>
          {say("neurons.layer")}
          <select value={chosen} onChange={(event) => setLayer(Number(event.target.value))}>
            {site.layers.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          {say("steer.place.number", { last: f.integer(site.width - 1) })}
          <input
            inputMode="numeric"
            value={index}
            aria-invalid={!isKnown}
            onChange={(event) => setIndex(event.target.value.trim())}
          />
        </label>
        <button
          type="button"
          disabled={!isKnown}
          onClick={() => choose(nameOf(chosen, site.site, number))}
        >
          {say("steer.place.take")}
        </button>
      </div>
    </details>
  );
}

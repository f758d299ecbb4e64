import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { cataloguePath, get, type CatalogueSummary, type Schemas, type Start } from "../api/client";
import { useAddress } from "../lib/address";
import { BuildCatalogue } from "../parts/BuildCatalogue";
import { Command } from "../parts/Command";
import { NeuronList } from "../parts/NeuronList";
import { NeuronPage } from "../parts/NeuronPage";
import { Loading, Trouble } from "../parts/Notice";
import { useWords } from "../words";

const ORDERS = ["score", "rate", "name", "token-entropy", "semantic-entropy"] as const;

export default function NeuronsScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const catalogues = useQuery({
    queryKey: ["catalogues"],
    queryFn: ({ signal }) => get<Schemas["CatalogueList"]>("/concepts", {}, signal),
  });
  const names = catalogues.data?.catalogues.map((one) => one.name) ?? [];
  const model = asked.get("model") ?? names[0] ?? null;
  const neuron = asked.get("neuron");
  if (catalogues.error) return <Trouble error={catalogues.error} />;
  if (!catalogues.data) return <Loading />;
  if (!model) {
    return (
      <>
        <h1>{say("neurons.title")}</h1>
        <p>{say("neurons.none")}</p>
        <Command lines={["sparsepath concepts build MODEL CORPUS", "sparsepath serve MODEL"]} />
        <BuildCatalogue start={start} />
      </>
    );
  }
  if (neuron) return <NeuronPage key={neuron} model={model} name={neuron} role={start.role} />;
  return (
    <>
      <h1>{say("neurons.title")}</h1>
      {names.length > 1 ? (
        <label className="inline">
          {say("neurons.catalogue")}
          <select
            value={model}
            onChange={(event) => change({ model: event.target.value, layer: null })}
          >
            {names.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      ) : null}
      <Browser key={model} model={model} />
      <details>
        <summary>{say("build.again")}</summary>
        <BuildCatalogue start={start} />
      </details>
    </>
  );
}

function Browser({ model }: { model: string }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const [typed, setTyped] = useState(asked.get("q") ?? "");
  useEffect(() => {
    const waiting = setTimeout(() => change({ q: typed.trim() || null }), 300);
    return () => clearTimeout(waiting);
  }, [typed, change]);
  const summary = useQuery({
    queryKey: ["catalogue", model],
    queryFn: ({ signal }) => get<CatalogueSummary>(cataloguePath(model), {}, signal),
    placeholderData: keepPreviousData,
  });
  if (summary.error) return <Trouble error={summary.error} retry={() => void summary.refetch()} />;
  if (!summary.data) return <Loading />;
  const { layers, mean_control } = summary.data;
  const [site, layer] = splitPlace(asked.get("layer"));
  const order = ORDERS.find((one) => one === asked.get("order")) ?? "score";
  const words = asked.get("q");
  const by = asked.get("by") === "says" ? "says" : "fires";
  const least = Number(asked.get("least")) || null;
  return (
    <>
      <p className="quiet">
        {say("neurons.facts", {
          n: f.integer(layers.reduce((sum, one) => sum + one.neurons, 0)),
          clear: f.integer(layers.reduce((sum, one) => sum + one.clear, 0)),
          tokens: f.integer(summary.data.n_tokens),
          corpus: summary.data.corpus.split(/[\\/]/).at(-1) ?? "",
        })}{" "}
        {mean_control !== null ? say("neurons.score.about", { control: f.number(mean_control) }) : null}
      </p>
      {summary.data.warnings.map((warning) => (
        <p key={warning} className="notice">
          {warning}
        </p>
      ))}
      <div className="row">
        <label className="wide">
          {say("neurons.search")}
          <input
            type="search"
            value={typed}
            placeholder={say("neurons.search.hint")}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <label>
          {say("neurons.layer")}
          <select
            value={asked.get("layer") ?? ""}
            onChange={(event) => change({ layer: event.target.value })}
          >
            <option value="">{say("neurons.layer.all")}</option>
            {layers.map((one) => (
              <option key={`${one.site}.${one.layer}`} value={`${one.site}.${one.layer}`}>
                {placeName(one.site, one.layer)}
              </option>
            ))}
          </select>
        </label>
        {words ? (
          <label>
            {say("neurons.by")}
            <select value={by} onChange={(event) => change({ by: event.target.value })}>
              <option value="fires">{say("neurons.by.fires")}</option>
              <option value="says">{say("neurons.by.says")}</option>
            </select>
          </label>
        ) : (
          <label>
            {say("neurons.order")}
            <select value={order} onChange={(event) => change({ order: event.target.value })}>
              {ORDERS.map((one) => (
                <option key={one} value={one}>
                  {say(`neurons.order.${one}`)}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          {say("neurons.least")}
          <select value={least ?? ""} onChange={(event) => change({ least: event.target.value })}>
            <option value="">{say("app.none")}</option>
            {[0.6, 0.7, 0.8, 0.9].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <NeuronList model={model} asked={{ words, by, site, layer, order, least }} />
    </>
  );
}

/** Name a site of a layer as neurons are named: `L02` is the residual stream after block 2. */
function placeName(site: string, layer: number): string {
  const name = `L${String(layer).padStart(2, "0")}`;
  return site === "block_out" ? name : `${name}.${site}`;
}

function splitPlace(told: string | null): [string | null, string | null] {
  const [site, layer] = told?.split(".") ?? [];
  return [site ?? null, layer ?? null];
}

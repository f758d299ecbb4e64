import { Link } from "wouter";
import { cataloguePath, get, type NeuronRow, type Schemas } from "../api/client";
import { linkTo } from "../lib/address";
import { useWords } from "../words";
import { PAGE, PagedList } from "./PagedList";
import { Token } from "./Token";

interface Props {
  model: string;
  asked: Record<"words" | "by" | "site" | "layer" | "order", string | null> & { least: number | null };
}

/** Neurons in an order, or those that a search found. */
export function NeuronList({ model, asked }: Props) {
  const { say, lang } = useWords();
  return (
    <PagedList<NeuronRow>
      name={["neurons", model, asked, lang]}
      ask={async (offset, signal) => {
        const path = cataloguePath(model, "/neurons");
        const told = await get<Schemas["NeuronRows"]>(path, { ...asked, lang, offset, limit: PAGE }, signal);
        return { n: told.n, rows: told.neurons };
      }}
      draw={(row) => <Row row={row} model={model} />}
      label={say("nav.neurons")}
      count={(n) => say("neurons.count", { n })}
      empty={say("neurons.empty")}
      height={76}
      isTall
    />
  );
}

function Row({ row, model }: { row: NeuronRow; model: string }) {
  const { say, f } = useWords();
  return (
    <article className="neuron">
      <p className="what">
        <Link className="code" href={linkTo("/neurons", { model, neuron: row.name })}>
          {row.name}
        </Link>{" "}
        <strong translate="no">{row.label}</strong>
        {row.origin === "automatic" ? null : (
          <span className="tag">
            {say(row.origin === "person" ? "neurons.origin.person" : "neurons.origin.endpoint")}
          </span>
        )}
      </p>
      <p className="how quiet">
        <span>
          {say("neurons.score")} <strong>{f.number(row.score)}</strong>
        </span>
        <span>
          {say("neurons.rate")} {f.percent(row.rate, 2)}
        </span>
        <span>
          {row.tokens.map((token, number) => (
            <Token key={number} text={token} />
          ))}
        </span>
      </p>
    </article>
  );
}

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { cataloguePath, get, type Schemas } from "../../api/client";
import { linkTo } from "../../lib/address";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { Share } from "./Share";

/** The same entry of the stream in each layer: how often it fires, and what for. */
export function LayerStrip({ model, name }: { model: string; name: string }) {
  const { say, lang } = useWords();
  const told = useQuery({
    queryKey: ["neuron", model, name, "layers", lang],
    queryFn: ({ signal }) =>
      get<Schemas["LayerStrip"]>(cataloguePath(model, "/layers"), { name, lang }, signal),
  });
  if (told.error) return <Trouble error={told.error} retry={() => void told.refetch()} />;
  if (!told.data) return null;
  const { layers, is_stream } = told.data;
  const most = Math.max(1e-9, ...layers.map((one) => one.row?.rate ?? 0));
  return (
    <section>
      <h2>{say("strip.title")}</h2>
      {is_stream ? (
        <>
          <p className="quiet">{say("strip.about")}</p>
          <ol className="strip">
            {layers.map((one) => (
              <li key={one.layer} aria-current={one.row?.name === name ? "true" : undefined}>
                {one.row ? (
                  <>
                    <Link className="code" href={linkTo("/neurons", { model, neuron: one.row.name })}>
                      {one.row.name}
                    </Link>
                    <Share value={one.row.rate} most={most} />
                    <span translate="no">{one.is_dead ? say("strip.dead") : one.row.label}</span>
                  </>
                ) : (
                  <span className="quiet">L{String(one.layer).padStart(2, "0")}: {say("app.none")}</span>
                )}
              </li>
            ))}
          </ol>
        </>
      ) : (
        <p>{say("strip.none")}</p>
      )}
    </section>
  );
}

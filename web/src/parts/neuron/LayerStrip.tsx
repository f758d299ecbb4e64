import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { cataloguePath, get, type Schemas } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { Share } from "./Share";

interface Props {
  model: string;
  name: string;
  /** The text that is read, as it stands in the address; it is read in the other layer too. */
  hash: string;
}

/** The same entry of the stream in each layer: how often it fires, what for, and how alike. */
export function LayerStrip({ model, name, hash }: Props) {
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
          <p className="quiet prose">{say("strip.about")}</p>
          <table className="strip">
            <thead>
              <tr>
                <th scope="col">{say("strip.place")}</th>
                <th scope="col">{say("neurons.rate")}</th>
                <th scope="col" className="number">{say("strip.alike")}</th>
                <th scope="col">{say("strip.label")}</th>
              </tr>
            </thead>
            <tbody>
              {layers.map((one) => (
                <Entry key={one.place} one={one} most={most} isHere={one.row?.name === name} {...{ model, hash }} />
              ))}
            </tbody>
          </table>
        </>
      ) : (
        <p>{say("strip.none")}</p>
      )}
    </section>
  );
}

interface EntryProps {
  one: Schemas["SameEntry"];
  most: number;
  isHere: boolean;
  model: string;
  hash: string;
}

function Entry({ one, most, isHere, model, hash }: EntryProps) {
  const { say, f } = useWords();
  const [asked] = useAddress();
  if (!one.row) {
    return (
      <tr>
        <th scope="row" className="code">{one.place}</th>
        <td colSpan={3} className="quiet">{say("strip.missing")}</td>
      </tr>
    );
  }
  const to = linkTo("/neurons", { model, neuron: one.row.name, step: asked.get("step") });
  return (
    <tr aria-current={isHere ? "true" : undefined}>
      <th scope="row">
        <Link className="code" href={to + hash}>
          {one.row.name}
        </Link>
      </th>
      <td>
        <Share value={one.row.rate} most={most} />
      </td>
      <td className="number">{isHere ? <span className="quiet">{say("strip.here")}</span> : f.number(one.likeness)}</td>
      {one.is_dead ? (
        <td className="quiet">{say("strip.dead")}</td>
      ) : (
        <td translate="no">{one.row.label}</td>
      )}
    </tr>
  );
}

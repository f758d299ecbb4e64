import { Link } from "wouter";
import { linkTo } from "../../lib/address";

/** A unit's name; a link to its page where a catalogue has one. */
export function NeuronName({ name, catalogue }: { name: string; catalogue: string | null }) {
  if (catalogue === null) return <span className="code">{name}</span>;
  return (
    <Link className="code" href={linkTo("/neurons", { model: catalogue, neuron: name })}>
      {name}
    </Link>
  );
}

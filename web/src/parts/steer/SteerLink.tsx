import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get, type Schemas } from "../../api/client";
import { linkTo } from "../../lib/address";
import { useWords } from "../../words";

/** A way from a neuron's page to steering it, where its model is the one that answers here. */
export function SteerLink({ catalogue, neuron }: { catalogue: string; neuron: string }) {
  const { say } = useWords();
  const known = useQuery({
    queryKey: ["catalogues"],
    queryFn: ({ signal }) => get<Schemas["CatalogueList"]>("/concepts", {}, signal),
  });
  const start = useQuery({
    queryKey: ["start"],
    queryFn: ({ signal }) => get<Schemas["Start"]>("/start", {}, signal),
  });
  const isServed = known.data?.catalogues.some((one) => one.is_served && one.name === catalogue);
  if (!isServed || !start.data?.is_steerable) return null;
  return (
    <p>
      <Link className="button" href={linkTo("/steer", { neuron })}>
        {say("steer.link")}
      </Link>
    </p>
  );
}

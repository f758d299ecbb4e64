import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { cataloguePath, get, post, type Schemas } from "../../api/client";
import { useWords } from "../../words";
import { Command, quoted } from "../Command";
import { Trouble } from "../Notice";
import { visible } from "../Token";

const MOST = 2000;

interface Props {
  model: string;
  name: string;
  largest: number;
  /** What was read last; it is in the address. */
  text: string;
  read: (text: string) => void;
}

/** A text that a person types, and the tokens of it at which the neuron fires. */
export function FireBox(props: Props) {
  const { say } = useWords();
  const { model } = props;
  const known = useQuery({
    queryKey: ["fire", model],
    queryFn: ({ signal }) => get<Schemas["CanFire"]>(cataloguePath(model, "/fire"), {}, signal),
  });
  if (known.error) return <Trouble error={known.error} retry={() => void known.refetch()} />;
  if (!known.data) return null;
  const { can } = known.data;
  return (
    <section>
      <h2>{say("fire.title")}</h2>
      {can === "yes" ? (
        <Box {...props} />
      ) : (
        <>
          <p>{say(`fire.${can}`)}</p>
          <Command lines={[commandFor(can, model)]} />
        </>
      )}
    </section>
  );
}

function commandFor(can: Exclude<Schemas["CanFire"]["can"], "yes">, model: string): string {
  if (can === "elsewhere") return `sparsepath serve ${quoted(model)}`;
  if (can === "several") return "sparsepath serve RUN/models/NAME";
  const verb = can === "latents" ? "concepts build" : "convert";
  return `sparsepath ${verb} ${quoted(model)} CORPUS`;
}

function Box({ model, name, largest, text, read }: Props) {
  const { say } = useWords();
  const [typed, setTyped] = useState(text.slice(0, MOST));
  const fired = useQuery({
    queryKey: ["fire", model, name, text],
    queryFn: () => post<Schemas["FiredOut"]>(cataloguePath(model, "/fire"), { neuron: name, text }),
    enabled: text !== "",
    retry: false,
  });
  const send = () => {
    if (typed === text) void fired.refetch();
    else read(typed);
  };
  return (
    <form
      className="say wide"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label>
        {say("fire.text")}
        <textarea
          rows={3}
          value={typed}
          maxLength={MOST}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && typed) send();
          }}
        />
      </label>
      <button type="submit" disabled={!typed || fired.isFetching}>
        {say("fire.read")}
      </button>
      {fired.error ? <Trouble error={fired.error} /> : null}
      <div role="status" className="fired">
        {fired.data ? <Read found={fired.data} largest={largest} /> : null}
      </div>
    </form>
  );
}

function Read({ found, largest }: { found: Schemas["FiredOut"]; largest: number }) {
  const { say, f } = useWords();
  const { tokens, values } = found;
  const sizes = values.map(Math.abs);
  const strongest = sizes.indexOf(Math.max(...sizes));
  const full = Math.max(1e-9, Math.abs(largest), ...sizes);
  const n = sizes.filter((one) => one > 0).length;
  return (
    <>
      <p>
        {say(n ? "fire.found" : "fire.silent", { n: f.integer(n), of: f.integer(tokens.length) })}{" "}
        {n
          ? say("fire.strongest", {
              value: f.number(values[strongest] ?? 0),
              token: visible(tokens[strongest] ?? ""),
            })
          : null}{" "}
        {found.n_left_out ? say("fire.left", { n: f.integer(found.n_left_out) }) : null}
      </p>
      <p className="told context" translate="no">
        {tokens.map((token, place) => {
          const value = values[place] ?? 0;
          const look = `${found.is_special[place] ? "special " : ""}heat${value ? " at" : ""}`;
          return (
            <span
              key={place}
              className={look}
              style={{ "--heat": Math.min(1, Math.abs(value) / full) }}
              title={value ? f.number(value) : undefined}
            >
              {token.replaceAll("\n", "\u23ce\n")}
              {value ? <span className="unseen"> ({f.number(value)})</span> : null}
            </span>
          );
        })}
      </p>
    </>
  );
}

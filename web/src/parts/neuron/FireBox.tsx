import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { cataloguePath, get, post, type Schemas, type Start } from "../../api/client";
import { useWords } from "../../words";
import { Command, quoted } from "../Command";
import { Trouble } from "../Notice";

const MOST = 2000;

interface Props {
  model: string;
  name: string;
  largest: number;
}

/** A text that a person types, and the tokens of it at which the neuron fires. */
export function FireBox({ model, name, largest }: Props) {
  const { say } = useWords();
  const start = useQuery({
    queryKey: ["start"],
    queryFn: ({ signal }) => get<Start>("/start", {}, signal),
  });
  const known = useQuery({
    queryKey: ["catalogues"],
    queryFn: ({ signal }) => get<Schemas["CatalogueList"]>("/concepts", {}, signal),
  });
  const isServed = known.data?.catalogues.some((one) => one.is_served && one.name === model);
  if (!start.data || !known.data) return null;
  return (
    <section>
      <h2>{say("fire.title")}</h2>
      {isServed ? (
        <Box model={model} name={name} largest={largest} />
      ) : (
        <>
          <p>{say("fire.elsewhere")}</p>
          <Command lines={[`sparsepath serve ${quoted(model)}`]} />
        </>
      )}
    </section>
  );
}

function Box({ model, name, largest }: Props) {
  const { say, f } = useWords();
  const [text, setText] = useState("");
  const fire = useMutation({
    mutationFn: () => post<Schemas["Fired"]>(cataloguePath(model, "/fire"), { neuron: name, text }),
  });
  const found = fire.data;
  const strongest = Math.max(1e-9, Math.abs(largest), ...(found?.values.map(Math.abs) ?? []));
  const n = found?.values.filter((one) => one !== 0).length ?? 0;
  return (
    <form
      className="say"
      onSubmit={(event) => {
        event.preventDefault();
        fire.mutate();
      }}
    >
      <label>
        {say("fire.text")}
        <textarea
          rows={3}
          value={text}
          maxLength={MOST}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && text) fire.mutate();
          }}
        />
      </label>
      <button type="submit" disabled={!text || fire.isPending}>
        {say("fire.read")}
      </button>
      {fire.error ? <Trouble error={fire.error} /> : null}
      <div role="status">
        {found ? (
          <>
            <p>
              {n ? say("fire.found", { n, of: found.tokens.length }) : say("fire.silent", { of: found.tokens.length })}{" "}
              {found.n_left_out ? say("fire.left", { n: found.n_left_out }) : null}
            </p>
            <p className="told context" translate="no">
              {found.tokens.map((token, place) => {
                const value = found.values[place] ?? 0;
                return (
                  <span
                    key={place}
                    className={value ? "heat at" : "heat"}
                    style={{ "--heat": Math.min(1, Math.abs(value) / strongest) }}
                    title={value ? f.number(value) : undefined}
                  >
                    {token.replaceAll("\n", "\u23ce\n")}
                    {value ? <span className="unseen"> ({f.number(value)})</span> : null}
                  </span>
                );
              })}
            </p>
          </>
        ) : null}
      </div>
    </form>
  );
}

import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { post, type Schemas } from "../../api/client";
import { useAddress } from "../../lib/address";
import { keepInAddress, textOfAddress } from "../../lib/save";
import { useWords } from "../../words";
import { Loading, Trouble } from "../Notice";
import { TextBox } from "../TextBox";
import { NotInstalled, useCanExplain } from "./Inside";
import { TokenAnswer } from "./TokenAnswer";

const OTHERWISE = ["target", "against", "site"] as const;

/** A text, and why a language model goes on as it does; only what is asked otherwise is in the query. */
export function TokenQuestion() {
  const { say, lang } = useWords();
  const can = useCanExplain();
  const [query, change] = useAddress();
  const [text, setText] = useState(textOfAddress);
  const [contrast, setContrast] = useState("");
  const asked = useMutation({
    mutationFn: (body: Record<string, string>) =>
      post<Schemas["TokenInside"]>("/explain", { ...body, lang }),
  });
  const { mutate } = asked;
  const isReady = can.data?.can === "yes";
  useEffect(() => {
    const first = textOfAddress();
    if (isReady && first) mutate(bodyOf(first, "", new URLSearchParams(window.location.search)));
  }, [isReady, mutate]);
  if (can.error) return <Trouble error={can.error} />;
  if (!can.data) return <Loading />;
  if (!isReady) return <NotInstalled />;
  return (
    <>
      <form
        className="ask"
        onSubmit={(event) => {
          event.preventDefault();
          keepInAddress(text);
          mutate(bodyOf(text, contrast, query));
        }}
      >
        <TextBox
          id="text"
          label={say("token.text")}
          placeholder={say("token.placeholder")}
          rows={4}
          value={text}
          change={setText}
        />
        <details open={OTHERWISE.some((name) => query.get(name))}>
          <summary>{say("token.more")}</summary>
          <div className="row">
            {OTHERWISE.map((name) => (
              <label key={name}>
                {say(`token.${name}`)}
                <input
                  type="text"
                  value={query.get(name) ?? ""}
                  placeholder={say(`token.${name}.hint`)}
                  onChange={(event) => change({ [name]: event.target.value || null })}
                />
              </label>
            ))}
          </div>
          <label>
            {say("token.contrast")}
            <textarea rows={2} value={contrast} onChange={(event) => setContrast(event.target.value)} />
          </label>
        </details>
        <button className="primary" type="submit" disabled={asked.isPending}>
          {say(asked.isPending ? "token.asking" : "token.ask")}
        </button>
      </form>
      {asked.error ? <Trouble error={asked.error} /> : null}
      {asked.data ? <TokenAnswer key={asked.data.request} found={asked.data} /> : null}
    </>
  );
}

function bodyOf(text: string, contrast: string, query: URLSearchParams): Record<string, string> {
  const body: Record<string, string> = { text };
  for (const name of OTHERWISE) {
    const value = query.get(name);
    if (value) body[name] = value;
  }
  return contrast ? { ...body, contrast } : body;
}

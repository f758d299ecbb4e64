import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get, type Schemas, type Start } from "../api/client";
import { sendFile } from "../api/jobs";
import { linkTo } from "../lib/address";
import { useWords } from "../words";
import { JobCards } from "./JobCards";
import { Trouble } from "./Notice";

/** A text is chosen and sent; a job makes the catalogue of the model that is served. */
export function BuildCatalogue({ start }: { start: Start }) {
  const { say } = useWords();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [tokens, setTokens] = useState("200000");
  const [denseK, setDenseK] = useState("");
  const send = useMutation({
    mutationFn: (chosen: File) =>
      sendFile("catalogue", chosen, {
        name: chosen.name.slice(0, 100),
        tokens,
        ...(denseK ? { dense_k: denseK } : {}),
      }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["jobs"] }),
  });
  useRefreshed();
  if (start.role !== "operator" && start.role !== "admin") return null;
  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (file) send.mutate(file);
        }}
      >
        <p>{say("build.about", { model: start.model.name, mb: start.max_upload_mb })}</p>
        <div className="row">
          <label>
            {say("build.corpus")}
            <input
              type="file"
              required
              accept=".jsonl,.csv,.tsv"
              onChange={(event) => setFile(event.target.files?.[0] ?? null)}
            />
          </label>
          <label>
            {say("build.tokens")}
            <input
              type="number"
              min="1000"
              max="1000000000"
              required
              value={tokens}
              onChange={(event) => setTokens(event.target.value)}
            />
          </label>
          <label>
            {say("build.dense")}
            <input
              type="number"
              min="1"
              max="1000000"
              value={denseK}
              onChange={(event) => setDenseK(event.target.value)}
            />
          </label>
        </div>
        {send.error ? <Trouble error={send.error} /> : null}
        <p>
          <button className="primary" disabled={send.isPending}>
            {say(send.isPending ? "up.sending" : "build.begin")}
          </button>
        </p>
      </form>
      <JobCards
        kind="catalogue"
        linkOf={() => linkTo("/neurons", {})}
        failed={say("build.failed")}
      />
    </>
  );
}

/** Ask for catalogues again when a job has made one. */
function useRefreshed() {
  const client = useQueryClient();
  const jobs = useQuery({
    queryKey: ["jobs", "catalogue"],
    queryFn: ({ signal }) => get<Schemas["JobsOut"]>("/jobs", {}, signal),
  });
  const done = jobs.data?.jobs.filter((one) => one.kind === "catalogue" && one.state === "done");
  const n = done?.length ?? 0;
  useEffect(() => {
    if (!n) return;
    void client.invalidateQueries({ queryKey: ["catalogues"] });
    void client.invalidateQueries({ queryKey: ["catalogue"] });
  }, [client, n]);
}

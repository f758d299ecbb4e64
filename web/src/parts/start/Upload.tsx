import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { type Start } from "../../api/client";
import { sendFile, typeOf } from "../../api/jobs";
import { guess, preview, PREVIEW_BYTES, valuesOf, type Fault, type Preview } from "../../lib/table";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { JobCards } from "../JobCards";
import { linkTo } from "../../lib/address";

interface Chosen {
  file: File;
  found: Preview | Fault;
}

/** A table is dropped or chosen, looked at, and sent; a job makes the PoC. */
export function Upload({ start }: { start: Start }) {
  const { say } = useWords();
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [isOver, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined) => {
    if (file) setChosen({ file, found: await look(file, start.max_upload_mb) });
  };
  if (start.role !== "operator" && start.role !== "admin") return null;
  const found = chosen?.found ?? null;
  return (
    <section>
      <h2>{say("up.title")}</h2>
      <div
        className={isOver ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer.files[0]);
        }}
      >
        <p>{say("up.about", { mb: start.max_upload_mb })}</p>
        <button type="button" onClick={() => input.current?.click()}>
          {say("up.choose")}
        </button>
        <input
          ref={input}
          type="file"
          hidden
          aria-label={say("up.choose")}
          accept=".csv,.tsv,.jsonl"
          onChange={(event) => {
            void take(event.target.files?.[0]);
            event.target.value = "";
          }}
        />
      </div>
      {chosen && typeof found === "string" ? (
        <div className="notice" role="alert">
          <p>
            <strong>{chosen.file.name}</strong>
          </p>
          <p>{say(`up.fault.${found}`, { mb: start.max_upload_mb })}</p>
        </div>
      ) : null}
      {chosen && found && typeof found !== "string" ? (
        <Options
          key={chosen.file.name + chosen.file.size}
          file={chosen.file}
          found={found}
          done={() => setChosen(null)}
        />
      ) : null}
      <JobCards
        kind="poc"
        linkOf={(job) => linkTo("/poc", { run: job.id })}
        failed={say("up.failed")}
      />
    </section>
  );
}

async function look(file: File, mb: number): Promise<Preview | Fault> {
  if (!typeOf(file.name)) return "type";
  if (file.size > mb * 1e6) return "large";
  const bytes = new Uint8Array(await file.slice(0, PREVIEW_BYTES).arrayBuffer());
  return preview(bytes, file.name, file.size <= PREVIEW_BYTES);
}

function Options({ file, found, done }: { file: File; found: Preview; done: () => void }) {
  const { say, f } = useWords();
  const [columns, setColumns] = useState(() => guess(found));
  const [minutes, setMinutes] = useState("15");
  const client = useQueryClient();
  const send = useMutation({
    mutationFn: () =>
      sendFile("poc", file, {
        name: file.name.slice(0, 100),
        text_column: columns.text,
        label_column: columns.label,
        minutes,
      }),
    onSuccess: () => {
      done();
      void client.invalidateQueries({ queryKey: ["jobs"] });
    },
  });
  const labels = valuesOf(found, columns.label);
  const isSame = columns.text === columns.label;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <h3>{file.name}</h3>
      <p className="quiet">{say("up.size", { size: f.bytes(file.size), n: found.columns.length })}</p>
      <div className="row">
        {(["text", "label"] as const).map((which) => (
          <label key={which}>
            {say(`up.${which}`)}
            <select
              value={columns[which]}
              onChange={(event) => setColumns({ ...columns, [which]: event.target.value })}
            >
              {found.columns.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        ))}
        <label>
          {say("up.minutes")}
          <input
            type="number"
            min="0.1"
            max="1440"
            step="any"
            required
            value={minutes}
            onChange={(event) => setMinutes(event.target.value)}
          />
        </label>
      </div>
      <table className="sample">
        <thead>
          <tr>
            <th>{columns.text}</th>
            <th>{columns.label}</th>
          </tr>
        </thead>
        <tbody>
          {found.rows.slice(0, 5).map((row, place) => (
            <tr key={place}>
              {[columns.text, columns.label].map((one, at) => (
                <td key={at}>{row[found.columns.indexOf(one)]?.slice(0, 160)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p className={labels.length < 2 || isSame ? "bad" : "quiet"}>
        {isSame
          ? say("up.same")
          : labels.length < 2
            ? say("up.one", { label: labels[0] ?? "" })
            : say("up.labels", { n: labels.length, some: labels.slice(0, 6).join(", ").slice(0, 200) })}
      </p>
      {send.error ? <Trouble error={send.error} /> : null}
      <p>
        <button className="primary" disabled={isSame || send.isPending}>
          {say(send.isPending ? "up.sending" : "up.begin")}
        </button>
      </p>
    </form>
  );
}

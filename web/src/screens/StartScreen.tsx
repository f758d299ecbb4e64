import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get, type RunLine, type Schemas, type Start } from "../api/client";
import { linkTo } from "../lib/address";
import { Command } from "../parts/Command";
import { Loading, Trouble } from "../parts/Notice";
import { Upload } from "../parts/start/Upload";
import { useWords } from "../words";

export default function StartScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const isClassifier = start.model.labels.length > 0;
  return (
    <>
      <section className="hero">
        <h1>{say("start.title")}</h1>
        <p className="lead">
          {say(isClassifier ? "start.lead.classifier" : "start.lead.language", {
            name: start.model.name,
            n: start.model.labels.length,
          })}
        </p>
        <Link className="button primary" href={linkTo("/why")}>
          {say("start.ask")}
        </Link>
      </section>
      <Upload start={start} />
      <div className="columns">
        <div>
          <Runs />
          {start.n_catalogues ? <Catalogues /> : null}
        </div>
        <MachineFacts machine={start.machine} />
      </div>
      <section>
        <h2>{say("start.try")}</h2>
        <p>{say("start.try.about")}</p>
        <Command lines={["sparsepath poc demo --out runs/demo", "sparsepath serve runs/demo"]} />
        <h3>{say("start.own")}</h3>
        <Command
          lines={["sparsepath poc tickets.csv --out runs/tickets", "sparsepath serve runs/tickets"]}
        />
      </section>
      <p className="quiet">{say("start.version", { version: start.version })}</p>
    </>
  );
}

function Runs() {
  const { say } = useWords();
  const found = useQuery({
    queryKey: ["runs"],
    queryFn: ({ signal }) => get<Schemas["RunList"]>("/runs", {}, signal),
  });
  return (
    <section>
      <h2>{say("start.runs")}</h2>
      {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data?.runs.length ? (
        <ul className="cards">
          {found.data.runs.map((run) => (
            <RunCard key={run.name} run={run} />
          ))}
        </ul>
      ) : null}
      {found.data && found.data.runs.length <= 1 ? (
        <>
          <p className="quiet">
            {say(found.data.runs.length ? "start.runs.only" : "start.runs.none")}
          </p>
          <Command lines={["sparsepath serve MODEL --runs runs"]} />
        </>
      ) : null}
    </section>
  );
}

function RunCard({ run }: { run: RunLine }) {
  const { say, f } = useWords();
  return (
    <li className="card">
      <p className="card-title">
        <Link href={linkTo("/poc", { run: run.name })}>{run.name}</Link>
        {run.is_served ? <span className="tag good">{say("start.run.served")}</span> : null}
        {run.status && run.status !== "done" ? (
          <span className="tag">{say(`status.${run.status}`)}</span>
        ) : null}
      </p>
      {run.trouble ? <p className="bad">{say("start.run.broken", { why: run.trouble })}</p> : null}
      {run.recommended && run.speedup !== null && run.accuracy !== null ? (
        <p>
          {say(run.speedup > 1 ? "start.run.best" : "start.run.full", {
            name: run.recommended,
            speed: f.ratio(run.speedup),
            accuracy: f.percent(run.accuracy),
          })}
        </p>
      ) : null}
      <p className="quiet">
        {run.rows_test !== null
          ? say("start.run.rows", {
              n: f.integer(run.rows_test),
              labels: run.n_labels ?? 0,
              candidates: run.n_candidates,
            })
          : null}
        {run.created_utc ? ` \u00b7 ${f.date(run.created_utc)}` : null}
      </p>
    </li>
  );
}

function Catalogues() {
  const { say } = useWords();
  const found = useQuery({
    queryKey: ["catalogues"],
    queryFn: ({ signal }) => get<Schemas["CatalogueList"]>("/concepts", {}, signal),
  });
  return (
    <section>
      <h2>{say("start.catalogues")}</h2>
      {found.error ? <Trouble error={found.error} /> : null}
      <ul className="cards">
        {found.data?.catalogues.map((one) => (
          <li className="card" key={one.name}>
            <p className="card-title">
              <Link href={linkTo("/neurons", { model: one.name })}>{one.name}</Link>
              {one.is_served ? <span className="tag good">{say("start.run.served")}</span> : null}
            </p>
            <p className="quiet">{say("start.catalogues.about", { name: one.name })}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function MachineFacts({ machine }: { machine: Schemas["Machine"] }) {
  const { say, f } = useWords();
  const missing = machine.missing.train ?? [];
  const isShort = machine.memory_free_bytes < machine.memory_needed_bytes;
  const isFull = machine.disk_free_bytes < machine.disk_needed_bytes;
  const fast = !machine.vectors ? "none" : machine.is_int8_fast ? "both" : "fp32";
  const poc = missing.length
    ? say("start.poc.missing")
    : isShort
      ? say("start.poc.memory", {
          free: f.bytes(machine.memory_free_bytes),
          needed: f.bytes(machine.memory_needed_bytes),
        })
      : isFull
        ? say("start.poc.disk", {
            free: f.bytes(machine.disk_free_bytes),
            needed: f.bytes(machine.disk_needed_bytes),
          })
        : say("start.poc.ready");
  return (
    <section>
      <h2>{say("start.machine")}</h2>
      <dl className="facts">
        <Ability isGood={fast !== "none"} name={say("start.machine.models")}>
          {say(`start.fast.${fast}`)}
        </Ability>
        <Ability isGood={!missing.length && !isShort && !isFull} name={say("start.machine.poc")}>
          {poc}
          {missing.length ? <Command lines={["pip install 'sparsepath[train]'"]} /> : null}
        </Ability>
        <Ability isGood={machine.native !== null} name={say("start.machine.language")}>
          {machine.native
            ? say("start.native.yes", { level: machine.native.toUpperCase() })
            : say("start.native.no")}
        </Ability>
      </dl>
      <p className="quiet">
        {say("start.facts", {
          cpu: machine.cpu,
          cores: machine.cores,
          memory: f.bytes(machine.memory_bytes),
          free: f.bytes(machine.memory_free_bytes),
          disk: f.bytes(machine.disk_free_bytes),
          system: machine.system,
        })}
      </p>
    </section>
  );
}

function Ability(props: { isGood: boolean; name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>
        <span aria-hidden="true" className={props.isGood ? "mark good" : "mark warn"}>
          {props.isGood ? "\u2713" : "!"}
        </span>
        {props.name}
      </dt>
      <dd>{props.children}</dd>
    </div>
  );
}

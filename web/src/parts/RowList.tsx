import { get, runPath, type ComparedRow, type Schemas } from "../api/client";
import { useWords } from "../words";
import { PAGE, PagedList } from "./PagedList";

interface Asked {
  first: string;
  second: string;
  which: string;
  label: string | null;
}

/** Test rows with both answers. */
export function RowList({ run, asked }: { run: string; asked: Asked }) {
  const { say } = useWords();
  return (
    <PagedList<ComparedRow>
      name={["rows", run, asked]}
      ask={(offset, signal) =>
        get<Schemas["ComparedRows"]>(runPath(run, "/rows"), { ...asked, offset, limit: PAGE }, signal)
      }
      draw={(row) => <Row row={row} asked={asked} />}
      label={say("poc.rows")}
      count={(n) => say("poc.rows.count", { n })}
      empty={say("poc.rows.empty")}
      height={120}
    />
  );
}

function Row({ row, asked }: { row: ComparedRow; asked: Asked }) {
  const { say } = useWords();
  return (
    <article>
      <p className="text">{row.text}</p>
      <p className="answers">
        <span className="quiet">{say("poc.rows.row", { id: row.row_id })}</span>
        <span>
          <span className="quiet">{say("poc.rows.truth")}</span> <strong>{row.truth}</strong>
        </span>
        <Answer who={asked.first} label={row.first} p={row.first_probability} truth={row.truth} />
        <Answer who={asked.second} label={row.second} p={row.second_probability} truth={row.truth} />
      </p>
    </article>
  );
}

function Answer(props: { who: string; label: string; p: number; truth: string }) {
  const { say, f } = useWords();
  const isRight = props.label === props.truth;
  return (
    <span>
      <span className="quiet">{props.who}</span>{" "}
      <span className={isRight ? "good" : "bad"}>
        <span aria-hidden="true">{isRight ? "\u2713" : "\u2717"}</span>
        <span className="unseen">{say(isRight ? "poc.rows.right" : "poc.rows.wrong")}</span>{" "}
        {props.label}
      </span>{" "}
      <span className="quiet">{f.percent(props.p, 0)}</span>
    </span>
  );
}

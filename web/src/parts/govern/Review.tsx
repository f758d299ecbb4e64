import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { download, get, post, type Schemas, type Start } from "../../api/client";
import { linkTo, useAddress } from "../../lib/address";
import { useWords } from "../../words";
import { Deed, Gated } from "../Deed";
import { Moment } from "../Moment";
import { Loading, Trouble } from "../Notice";
import { useWaiting } from "./queries";

type Case = Schemas["CaseWithText"];

const FEW = 12;

export function Review({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked] = useAddress();
  const seq = Number(asked.get("case")) || null;
  return (
    <>
      {seq ? (
        <p>
          <Link href={linkTo("/govern/review")}>{say("review.back")}</Link>
        </p>
      ) : null}
      <h1>{say(seq ? "review.case" : "review.title", { number: seq ?? "" })}</h1>
      <Gated role={start.role} least="reviewer">
        {seq ? <CasePage key={seq} start={start} seq={seq} /> : <Waiting start={start} />}
      </Gated>
    </>
  );
}

/** Decisions that wait, the oldest first; a page at a time. */
function Waiting({ start }: { start: Start }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const found = useWaiting(start, Number(asked.get("after")) || 0);
  const file = useMutation({ mutationFn: () => download("/review/export", {}, "reviewed.csv") });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  const { waiting, cases } = found.data;
  const last = cases.at(-1);
  return (
    <>
      <p>{say("review.about")}</p>
      <p className="lead" role="status">
        {waiting ? say("review.waiting", { n: f.integer(waiting) }) : say("review.none")}
      </p>
      <div className="deeds">
        {cases[0] ? (
          <Link className="button primary" href={linkTo("/govern/review", { case: cases[0].seq })}>
            {say("review.begin")}
          </Link>
        ) : null}
        <Deed role={start.role} least="reviewer" act={() => file.mutate()} isBusy={file.isPending}>
          {say("review.download")}
        </Deed>
      </div>
      <p className="quiet">{say("review.download.about")}</p>
      {file.error ? <Trouble error={file.error} /> : null}
      <ol className="records">
        {cases.map((one) => (
          <li key={one.seq}>
            <span className="seq">
              <Link href={linkTo("/govern/review", { case: one.seq })}>
                {say("record.number", { number: one.seq })}
              </Link>
            </span>
            <span className="quiet">
              <Moment utc={one.time} />
            </span>
            <span>
              <strong>{one.label}</strong> {f.percent(one.probability)}
            </span>
            <span className="quiet">{one.model}</span>
          </li>
        ))}
      </ol>
      <p className="deeds">
        {asked.get("after") ? (
          <button onClick={() => change({ after: null }, { push: true })}>{say("review.first")}</button>
        ) : null}
        {last && cases.length === 50 ? (
          <button onClick={() => change({ after: last.seq }, { push: true })}>{say("review.more")}</button>
        ) : null}
      </p>
    </>
  );
}

function CasePage({ start, seq }: { start: Start; seq: number }) {
  const found = useQuery({
    queryKey: ["review", "case", seq],
    queryFn: ({ signal }) => get<Case>(`/review/${seq}`, {}, signal),
  });
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Loading />;
  return <CaseTold start={start} one={found.data} />;
}

function CaseTold({ start, one }: { start: Start; one: Case }) {
  const { say, f } = useWords();
  return (
    <>
      {one.text === null ? (
        <p className="notice">{say("review.forgotten")}</p>
      ) : (
        <p className="told">{one.text}</p>
      )}
      <p>
        {say("review.says", { model: one.model })} <strong>{one.label}</strong> {f.percent(one.probability)}{" "}
        <span className="quiet">{say("review.below", { below: f.percent(one.below, 0) })}</span>
      </p>
      <p className="quiet">
        <Link href={linkTo("/govern/audit", { record: one.seq })}>
          {say("record.number", { number: one.seq })}
        </Link>
        , <Moment utc={one.time} />
      </p>
      <Verdicts one={one} />
      <Form start={start} one={one} />
    </>
  );
}

function Verdicts({ one }: { one: Case }) {
  const { say } = useWords();
  if (!one.verdicts.length) return null;
  return (
    <section>
      <h2>{say("review.verdicts")}</h2>
      <ul className="cards">
        {one.verdicts.map((verdict, place) => (
          <li key={verdict.seq} className="card">
            <p>
              <strong>{verdict.label ?? say("review.none.fits")}</strong>
              {place === one.verdicts.length - 1 ? <span className="tag good">{say("review.counts")}</span> : null}
            </p>
            <p className="quiet">
              {verdict.person}, <Moment utc={verdict.time} />,{" "}
              <Link href={linkTo("/govern/audit", { record: verdict.seq })}>
                {say("record.number", { number: verdict.seq })}
              </Link>
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

const NONE = "\0none";

/** A person's verdict; then the next decision that waits is shown. */
function Form({ start, one }: { start: Start; one: Case }) {
  const { say } = useWords();
  const [, change] = useAddress();
  const queries = useQueryClient();
  const [label, setLabel] = useState("");
  const send = useMutation({
    mutationFn: () => post<Case>(`/review/${one.seq}`, { label: label === NONE ? null : label }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["review"] });
      const query = { after: 0, limit: 1 };
      const rest = await get<Schemas["Cases"]>("/review", query);
      change({ case: rest.cases[0]?.seq ?? null }, { push: true });
    },
  });
  const choices = [...one.labels, NONE];
  const name = (choice: string) => (choice === NONE ? say("review.none.fits") : choice);
  return (
    <form
      className="say"
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <h2>{say("review.verdict")}</h2>
      {one.labels.length <= FEW ? (
        <fieldset>
          <legend>{say("review.right")}</legend>
          {choices.map((choice) => (
            <label key={choice} className="radio">
              <input
                type="radio"
                name="label"
                checked={label === choice}
                onChange={() => setLabel(choice)}
              />
              {name(choice)}
            </label>
          ))}
        </fieldset>
      ) : (
        <label>
          {say("review.right")}
          <select value={label} onChange={(event) => setLabel(event.target.value)}>
            <option value="" />
            {choices.map((choice) => (
              <option key={choice} value={choice}>
                {name(choice)}
              </option>
            ))}
          </select>
        </label>
      )}
      {send.error ? <Trouble error={send.error} /> : null}
      <Deed
        role={start.role}
        least="reviewer"
        look="primary"
        why={label ? null : say("review.choose")}
        isBusy={send.isPending}
        act={() => send.mutate()}
      >
        {say("review.send")}
      </Deed>
    </form>
  );
}

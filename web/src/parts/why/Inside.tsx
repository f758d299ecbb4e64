import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get, post, type Schemas } from "../../api/client";
import { linkTo } from "../../lib/address";
import { mean } from "../../lib/mean";
import { useWords } from "../../words";
import { Command } from "../Command";
import { Trouble } from "../Notice";
import { NeuronName } from "./NeuronName";
import { ScoreBars } from "./ScoreBars";
import { ShareTest } from "./ShareTest";
import { Verdict } from "./Verdict";

type LabelInside = Schemas["LabelInside"];

interface Props {
  text: string;
  label: string;
  against: string;
  /** Gets the result, for the record that is saved. */
  tell: (found: LabelInside) => void;
}

/** Which neurons and heads decided: asked for by a button, since it takes seconds. */
export function Inside({ text, label, against, tell }: Props) {
  const { say, lang } = useWords();
  const can = useCanExplain();
  const look = useMutation({
    mutationFn: () => post<LabelInside>("/explain", { text, target: label, against, lang }),
    onSuccess: tell,
  });
  if (can.error) return <Trouble error={can.error} />;
  if (!can.data) return null;
  if (can.data.can !== "yes") return <NotInstalled />;
  return (
    <>
      <p>{say("inside.about")}</p>
      <div className="row">
        <button disabled={look.isPending} onClick={() => look.mutate()}>
          {say(look.isPending ? "inside.looking" : "inside.look")}
        </button>
      </div>
      {look.error ? <Trouble error={look.error} /> : null}
      {look.data ? <Found found={look.data} /> : null}
    </>
  );
}

export const useCanExplain = () =>
  useQuery({
    queryKey: ["explain"],
    queryFn: ({ signal }) => get<Schemas["CanExplain"]>("/explain", {}, signal),
  });

export function NotInstalled() {
  const { say } = useWords();
  return (
    <>
      <p>{say("inside.not.installed")}</p>
      <Command lines={["pip install 'sparsepath[train]'"]} />
    </>
  );
}

function Found({ found }: { found: LabelInside }) {
  const { say, f } = useWords();
  const { test, tokens } = found;
  const word = (place: number) => tokens[place]?.text ?? "";
  const n_random = test.random_kept.length;
  return (
    <div aria-live="polite">
      <Verdict verdict={test.verdict}>
        {say("inside.told", {
          kept: f.integer(found.n_units_kept),
          all: f.integer(found.n_units),
          share: f.percent(test.kept, 0),
          target: found.target,
          against: found.against,
          random: f.percent(mean(test.random_kept), 0),
        })}
        {found.n_units_enough !== null ? ` ${say("inside.enough", { n: f.integer(found.n_units_enough) })}` : ""}
      </Verdict>
      <p className="quiet">
        {say("inside.model", { name: found.looked_into })}{" "}
        {found.is_same_answer ? null : <strong className="bad">{say("inside.other")}</strong>}{" "}
        {found.n_tokens_cut ? say("inside.cut", { n: found.n_tokens_cut }) : null}
      </p>
      <h3>{say("inside.units")}</h3>
      {found.units.length ? (
        <>
          <p className="quiet">{say(found.is_exact ? "inside.units.exact" : "inside.units.about")}</p>
          <ScoreBars
            wide
            items={found.units.map((unit) => ({
              key: unit.name,
              name: <UnitName unit={unit} catalogue={found.catalogue} />,
              score: unit.score,
            }))}
          />
        </>
      ) : (
        <p>{say("inside.units.none")}</p>
      )}
      {found.edges.length ? (
        <>
          <h3>{say("inside.edges")}</h3>
          <p className="quiet">{say("inside.edges.about")}</p>
          <ScoreBars
            wide
            items={found.edges.map((edge) => ({
              key: `${edge.head} ${edge.reader} ${edge.source}`,
              name: (
                <>
                  <span translate="no">
                    {word(edge.reader)} {"\u2192"} {word(edge.source)}
                  </span>{" "}
                  <span className="code quiet">{edge.head}</span>
                </>
              ),
              score: edge.score,
            }))}
          />
        </>
      ) : null}
      <h3>{say("inside.test")}</h3>
      <p className="quiet">
        {say("inside.test.about", {
          target: found.target,
          against: found.against,
          margin: f.signed(found.margin),
          nothing: f.signed(test.margin_of_nothing),
        })}
      </p>
      <ShareTest
        rows={[
          { name: say("inside.all"), shares: 1 },
          { name: say("inside.kept"), shares: test.kept, isOwn: true },
          { name: say("inside.random.kept", { n: n_random }), shares: test.random_kept },
          { name: say("inside.removed"), shares: test.removed, isOwn: true },
          { name: say("inside.random.removed", { n: n_random }), shares: test.random_removed },
        ]}
      />
      <p className="quiet hash">
        {say("inside.record", { seq: found.record.seq })}{" "}
        <Link href={linkTo("/govern/audit", { record: found.record.seq })}>{say("why.record.open")}</Link>
      </p>
    </div>
  );
}

function UnitName({ unit, catalogue }: { unit: Schemas["UnitOut"]; catalogue: string | null }) {
  const { say, f } = useWords();
  const what = unit.fires_for
    ? say("inside.fires", { label: unit.fires_for, share: f.percent(unit.fires_for_share, 0) })
    : "";
  return (
    <>
      <NeuronName name={unit.name} catalogue={unit.kind === "neuron" ? catalogue : null} />
      <small>{unit.concept ?? (what || (unit.kind === "head" ? say("inside.head") : ""))}</small>
    </>
  );
}

import { Link } from "wouter";
import type { Schemas } from "../../api/client";
import { linkTo } from "../../lib/address";
import { mean } from "../../lib/mean";
import { saveJson } from "../../lib/save";
import { useWords } from "../../words";
import { Command } from "../Command";
import { HeatedText } from "./HeatedText";
import { NeuronName } from "./NeuronName";
import { ScoreBars } from "./ScoreBars";
import { ShareTest, type ShareRow } from "./ShareTest";
import { Verdict } from "./Verdict";

type TokenInside = Schemas["TokenInside"];

/** Why a text goes on with a token, from words to neurons and heads, with the test of it. */
export function TokenAnswer({ found }: { found: TokenInside }) {
  const { say, f } = useWords();
  const seen = useSeen();
  const { test } = found;
  const target = seen(found.target);
  const against = seen(found.against);
  const changing = found.left_out.filter((one) => one.answer !== found.answer);
  const name = `card-${found.record.seq}.json`;
  return (
    <>
      <section aria-live="polite">
        <h2>{say("token.answer")}</h2>
        <p className="answer" translate="no">
          {target} <strong>{f.percent(found.probability)}</strong>
        </p>
        <p>
          {say("token.margin", { margin: f.number(found.margin), against })}{" "}
          {found.answer === found.target ? null : say("token.not.answer", { answer: seen(found.answer) })}
        </p>
        <Verdict verdict={test.verdict}>
          {say("token.told", {
            named: f.integer(found.n_named),
            active: f.integer(found.n_active),
            site: found.site,
            share: f.percent(test.kept, 0),
            random: f.percent(mean(test.random_kept), 0),
          })}
        </Verdict>
      </section>
      <section>
        <h2>{say("token.words")}</h2>
        <p className="quiet">{say("token.words.about")}</p>
        <HeatedText
          pieces={found.words.map(({ text, score }) => ({ text, score }))}
          target={bare(found.target)}
          against={bare(found.against)}
        />
        {changing.length ? (
          <ul>
            {changing.map((one, place) => (
              <li key={place}>
                {say("token.left.out", { word: seen(one.text), answer: seen(one.answer) })}
              </li>
            ))}
          </ul>
        ) : found.left_out.length ? (
          <p>{say("token.left.out.none")}</p>
        ) : null}
      </section>
      <section>
        <h2>{say("token.neurons")}</h2>
        <p className="quiet">{say("token.neurons.about")}</p>
        <ScoreBars
          wide
          items={found.neurons.map((neuron) => ({
            key: `${neuron.name} ${neuron.position}`,
            name: <NeuronAt neuron={neuron} catalogue={found.catalogue} />,
            score: neuron.score,
          }))}
        />
      </section>
      {found.heads.length ? (
        <section>
          <h2>{say("token.heads")}</h2>
          <ScoreBars
            items={found.heads.map((head) => ({
              key: head.name,
              name: <span className="code">{head.name}</span>,
              score: head.score,
            }))}
          />
        </section>
      ) : null}
      <section>
        <h2>{say("inside.test")}</h2>
        <p className="quiet">{say("token.test.about")}</p>
        <ShareTest rows={rowsOf(test, say)} />
      </section>
      <section>
        <button onClick={() => saveJson(found.card, name)}>{say("token.save")}</button>
        <p className="quiet hash">{say("token.replay")}</p>
        <Command lines={[`sparsepath explain MODEL --replay ${name}`]} />
        <p className="quiet hash">
          {say("inside.record", { seq: found.record.seq })}{" "}
          <Link href={linkTo("/govern/audit", { record: found.record.seq })}>{say("why.record.open")}</Link>
        </p>
      </section>
    </>
  );
}

function NeuronAt({ neuron, catalogue }: { neuron: Schemas["TokenNeuron"]; catalogue: string | null }) {
  const { say, lang } = useWords();
  const seen = useSeen();
  const words = neuron.reads.map((one) => seen(one.text)).join(lang === "ja" ? "" : ", ");
  return (
    <>
      <NeuronName name={neuron.name} catalogue={catalogue} /> {say("token.at", { token: seen(neuron.token) })}
      <small>
        {[neuron.concept, words ? say("token.reads", { words }) : null].filter(Boolean).join(" \u00b7 ")}
      </small>
    </>
  );
}

function rowsOf(test: TokenInside["test"], say: ReturnType<typeof useWords>["say"]): ShareRow[] {
  const n = test.random_kept.length;
  const rows: ShareRow[] = [
    { name: say("inside.all"), shares: 1 },
    { name: say("inside.kept"), shares: test.kept, isOwn: true },
    { name: say("inside.random.kept", { n }), shares: test.random_kept },
    { name: say("inside.removed"), shares: test.removed, isOwn: true },
    { name: say("inside.random.removed", { n }), shares: test.random_removed },
  ];
  if (test.swapped !== null) {
    rows.push({ name: say("inside.swapped"), shares: test.swapped, isOwn: true });
    rows.push({ name: say("inside.random.swapped"), shares: test.random_swapped });
  }
  return rows;
}

/** A token with what cannot be seen of it made visible. */
function bare(token: string): string {
  const told = token.replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return told.trim() || told.replaceAll(" ", "\u2423");
}

function useSeen(): (token: string) => string {
  const { lang } = useWords();
  const [begin, end] = lang === "ja" ? ["\u300c", "\u300d"] : ["\u201c", "\u201d"];
  return (token) => `${begin}${bare(token)}${end}`;
}

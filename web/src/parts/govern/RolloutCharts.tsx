import { Link } from "wouter";
import type { Schemas, Start } from "../../api/client";
import { linkTo } from "../../lib/address";
import { brief, writes, type Rollout, type Stage } from "../../lib/govern";
import { useWords } from "../../words";
import { useDrift } from "./queries";
import { StageChart, type Mark, type Who } from "./StageChart";

type Figures = Schemas["StageFigures"];
type Model = Schemas["ModelFigures"];

const STAGES: readonly Stage[] = ["shadow", "canary", "full"];
const WHO: readonly Who[] = ["old", "new"];

/** Quality and cost of both models, stage by stage. */
export function RolloutCharts({ start, rollout }: { start: Start; rollout: Rollout }) {
  const { say, f } = useWords();
  const { gates } = rollout.rules;
  const isWriter = writes(rollout);
  const stages = STAGES.flatMap((stage) => {
    const found = rollout.stages[stage];
    return found ? [{ stage, found }] : [];
  });
  const texts = (n: number) => say("rollout.n.texts", { n: f.integer(n) });
  const shared = (read: (found: Figures) => Figures["agreement"], n: (n: number) => string): Mark[] =>
    stages.flatMap(({ stage, found }) => {
      const one = read(found);
      return one
        ? [{ stage, who: "new" as const, value: one.value, interval: one.ci95, n: n(one.n) }]
        : [];
    });
  const each = (read: (model: Model) => Omit<Mark, "stage" | "who"> | null): Mark[] =>
    stages.flatMap(({ stage, found }) =>
      WHO.flatMap((who) => {
        const one = read(found[who]);
        return one ? [{ stage, who, ...one }] : [];
      }),
    );
  const most = (limit: number | undefined) =>
    limit === undefined ? null : { value: limit, isLeast: false };
  const { price_per_cpu_hour: price, currency } = rollout.rules;
  const money = (value: number) => `${brief(value)} ${currency ?? ""}`.trim();
  const hasPrice = price !== null && price !== undefined;
  const empty = say("rollout.unmeasured");
  return (
    <>
      <p className="legend">
        {WHO.map((who) => (
          <span key={who}>
            <svg width="14" height="14" aria-hidden="true">
              {who === "old" ? (
                <rect className="whole" x={2} y={2} width={10} height={10} />
              ) : (
                <circle className="column" cx={7} cy={7} r={6} />
              )}
            </svg>
            {say(`rollout.${who}`)} {rollout[who].name}
          </span>
        ))}
      </p>
      <div className="measures">
        <StageChart
          title={say("measure.agreement")}
          about={say(isWriter ? "measure.agreement.tokens" : "measure.agreement.about")}
          marks={shared((found) => found.agreement, texts)}
          write={(value) => f.percent(value)}
          limit={gates?.agreement ? { value: gates.agreement.limit, isLeast: true } : null}
          empty={empty}
        />
        {isWriter ? null : (
          <StageChart
            title={say("measure.accuracy")}
            about={say("measure.accuracy.about")}
            marks={shared(
              (found) => found.accuracy_loss,
              (n) => say("rollout.n.verdicts", { n: f.integer(n) }),
            )}
            write={(value) => f.points(value)}
            limit={most(gates?.accuracy?.limit)}
            empty={say("measure.accuracy.none")}
          />
        )}
        <StageChart
          title={say("measure.latency")}
          about={say(isWriter ? "measure.latency.tokens" : "measure.latency.about")}
          marks={each((model) =>
            model.latency_ms_p95 === null
              ? null
              : { value: model.latency_ms_p95, n: say("rollout.n.requests", { n: f.integer(model.requests) }) },
          )}
          write={(value) => f.ms(value)}
          limit={most(gates?.latency_p95_ms?.limit)}
          empty={empty}
        />
        <StageChart
          title={say("measure.errors")}
          about={say("measure.errors.about")}
          marks={each(({ error_rate: one }) =>
            one ? { value: one.value, interval: one.ci95, n: texts(one.n) } : null,
          )}
          write={(value) => f.percent(value, 2)}
          limit={most(gates?.errors?.limit)}
          empty={empty}
        />
        <StageChart
          title={say("measure.cost")}
          about={say(`measure.cost.${hasPrice ? "money" : "cpu"}${isWriter ? ".tokens" : ""}`)}
          marks={each((model) => {
            const value = costOf(model, hasPrice, isWriter);
            const n = isWriter ? say("rollout.n.tokens", { n: f.integer(model.tokens) }) : texts(model.texts);
            return value === null ? null : { value, n };
          })}
          write={hasPrice ? money : (value) => f.ms(value)}
          empty={empty}
        />
        {isWriter ? null : <DriftMeasure start={start} rollout={rollout} />}
      </div>
      <p>
        {isWriter ? (
          <Link href={linkTo("/govern/audit", { model: rollout.new.sha256, kind: "generation" })}>
            {say("rollout.see.texts")}
          </Link>
        ) : (
          <>
            <Link href={linkTo("/govern/review")}>{say("rollout.see.review")}</Link>{" "}
            <Link href={linkTo("/govern/audit", { model: rollout.new.sha256, kind: "decision" })}>
              {say("rollout.see.decisions")}
            </Link>
          </>
        )}
      </p>
    </>
  );
}

/** What a text costs, or, of a language model, a token: CPU time, or money for a thousand. */
function costOf(model: Model, isMoney: boolean, isWriter: boolean): number | null {
  if (isWriter) return isMoney ? model.money_per_1000_tokens : model.cpu_ms_per_token;
  return isMoney ? model.money_per_1000_texts : model.cpu_ms_per_text;
}

/** How far answers are from those of the PoC, over the limit of each quantity. */
function DriftMeasure({ start, rollout }: { start: Start; rollout: Rollout }) {
  const { say, f } = useWords();
  const found = useDrift(start);
  const marks = WHO.flatMap((who): Mark[] => {
    const { sha256, precision } = rollout[who];
    const one = found.data?.drift.find((state) => state.model === `${sha256}:${precision}`);
    const ratios = (one?.measures ?? []).map((measure) => measure.psi / measure.threshold);
    if (!one || !ratios.length) return [];
    const n = say("drift.windows", { n: one.windows, window: f.integer(one.window) });
    return [{ stage: rollout.stage, who, value: Math.max(...ratios), n }];
  });
  return (
    <StageChart
      title={say("measure.drift")}
      about={say("measure.drift.about")}
      marks={marks}
      write={(value) => f.number(value)}
      limit={{ value: 1, isLeast: false }}
      empty={say("drift.none")}
    />
  );
}

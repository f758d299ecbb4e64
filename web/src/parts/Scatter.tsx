import { useId, useState } from "react";
import type { Candidate } from "../api/client";
import { useWidth } from "../lib/width";
import { groupOf, latencyOf, type Group, type Wish } from "../lib/candidate";
import { useWords } from "../words";

interface Props {
  candidates: Candidate[];
  chosen: string | null;
  choose: (name: string) => void;
  /** Its limits are drawn. */
  wish: Wish;
}

const HEIGHT = 340;
const PAD = { left: 46, right: 16, top: 14, bottom: 44 };
const GROUPS: Group[] = ["light", "full", "control"];

/** Accuracy against time, with intervals. The table of candidates holds the same for keyboards. */
export function Scatter({ candidates, chosen, choose, wish }: Props) {
  const { say, f } = useWords();
  const [box, width] = useWidth(720);
  const [over, setOver] = useState<Candidate | null>(null);
  const title = useId();
  const times = candidates.map(latencyOf);
  const x = logScale(Math.min(...times), Math.max(...times), PAD.left + 10, width - PAD.right - 10);
  const ends = candidates.flatMap((one) => [...one.quality.accuracy_ci95]);
  const y = scale(Math.min(...ends), Math.max(...ends), HEIGHT - PAD.bottom, PAD.top);
  // What is chosen lies on top.
  const inOrder = [...candidates].sort((a, b) => Number(a.name === chosen) - Number(b.name === chosen));
  const shown = over ?? candidates.find((one) => one.name === chosen) ?? null;
  return (
    <figure className="chart" ref={box}>
      <svg width={width} height={HEIGHT} role="img" aria-labelledby={title}>
        <title id={title}>{say("poc.chart.alt", { n: candidates.length })}</title>
        {y.ticks.map((tick) => (
          <g key={tick} className="grid">
            <line x1={PAD.left} x2={width - PAD.right} y1={y.at(tick)} y2={y.at(tick)} />
            <text x={PAD.left - 8} y={y.at(tick) + 4} textAnchor="end">
              {Math.round(tick * 100)}
            </text>
          </g>
        ))}
        {x.ticks.map((tick) => (
          <g key={tick} className="grid">
            <line x1={x.at(tick)} x2={x.at(tick)} y1={HEIGHT - PAD.bottom} y2={HEIGHT - PAD.bottom + 5} />
            <text x={x.at(tick)} y={HEIGHT - PAD.bottom + 19} textAnchor="middle">
              {tick}
            </text>
          </g>
        ))}
        <text className="axis" x={(width + PAD.left) / 2} y={HEIGHT - 6} textAnchor="middle">
          {say("poc.chart.x")}
        </text>
        {wish.accuracy === null ? null : (
          <line
            className="limit-line"
            x1={PAD.left}
            x2={width - PAD.right}
            y1={y.at(wish.accuracy)}
            y2={y.at(wish.accuracy)}
          />
        )}
        {wish.ms === null ? null : (
          <line
            className="limit-line"
            x1={x.at(wish.ms)}
            x2={x.at(wish.ms)}
            y1={PAD.top}
            y2={HEIGHT - PAD.bottom}
          />
        )}
        {inOrder.map((one) => {
          const [low, high] = one.quality.accuracy_ci95;
          const isShown = one === shown;
          return (
            <g
              key={one.name}
              className={`point ${groupOf(one)}${one.name === chosen ? " chosen" : ""}`}
              onPointerEnter={() => setOver(one)}
              onPointerLeave={() => setOver(null)}
              onClick={() => choose(one.name)}
            >
              <line
                className={isShown ? "interval strong" : "interval"}
                x1={x.at(latencyOf(one))}
                x2={x.at(latencyOf(one))}
                y1={y.at(low)}
                y2={y.at(high)}
              />
              <Mark group={groupOf(one)} x={x.at(latencyOf(one))} y={y.at(one.quality.accuracy)} />
              <circle className="touch" cx={x.at(latencyOf(one))} cy={y.at(one.quality.accuracy)} r={14} />
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span className="legend">
          {GROUPS.map((group) => (
            <span key={group}>
              <svg width="14" height="14" aria-hidden="true">
                <g className={`point ${group}`}>
                  <Mark group={group} x={7} y={7} />
                </g>
              </svg>
              {say(`poc.group.${group}`)}
            </span>
          ))}
        </span>
        <span className="reading">
          {shown ? (
            <>
              <strong>{shown.name}</strong> {f.percent(shown.quality.accuracy)} (
              {f.percent(shown.quality.accuracy_ci95[0])}{"\u2013"}{f.percent(shown.quality.accuracy_ci95[1])}),{" "}
              {f.ms(latencyOf(shown))}
            </>
          ) : null}
        </span>
        <span className="quiet">
          {say("poc.chart.y")}. {say("poc.chart.about")}
        </span>
      </figcaption>
    </figure>
  );
}

/** Groups differ in shape as well as in colour. */
function Mark({ group, x, y }: { group: Group; x: number; y: number }) {
  if (group === "full") return <rect className="shape" x={x - 5.5} y={y - 5.5} width={11} height={11} />;
  if (group === "control") {
    return <path className="shape" d={`M${x - 4.5} ${y - 4.5}l9 9m0-9l-9 9`} />;
  }
  return <circle className="shape" cx={x} cy={y} r={5.5} />;
}

interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

function scale(low: number, high: number, from: number, to: number): Scale {
  const span = Math.max(0.01, high - low);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((one) => span / one <= 7) ?? 0.25;
  const begin = Math.floor(low / step) * step;
  const end = Math.ceil(high / step) * step;
  const ticks: number[] = [];
  for (let tick = begin; tick <= end + 1e-9; tick += step) ticks.push(Math.round(tick * 1000) / 1000);
  return { at: (value) => from + ((value - begin) / (end - begin)) * (to - from), ticks };
}

function logScale(low: number, high: number, from: number, to: number): Scale {
  const begin = Math.log10(Math.max(1e-4, low));
  const end = Math.max(begin + 0.3, Math.log10(Math.max(1e-4, high)));
  const span = end - begin;
  const steps = span > 2.2 ? [1] : span > 1.2 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(begin) - 1; power <= end; power++) {
    for (const step of steps) {
      const tick = Number((step * 10 ** power).toPrecision(2));
      if (Math.log10(tick) >= begin - 0.02 && Math.log10(tick) <= end + 0.02) ticks.push(tick);
    }
  }
  return { at: (value) => from + ((Math.log10(Math.max(1e-4, value)) - begin) / span) * (to - from), ticks };
}

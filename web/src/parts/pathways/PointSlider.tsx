import { Link } from "wouter";
import { linkTo } from "../../lib/address";
import { totalOf, type Layer, type Pathways, type Point } from "../../lib/parts";
import { useWords } from "../../words";

interface Props {
  found: Pathways;
  point: Point;
  layers: Layer[];
  choose: (name: string) => void;
}

/** A slider whose stops are the measured candidates, the smallest first. */
export function PointSlider({ found, point, layers, choose }: Props) {
  const { say, f } = useWords();
  const { points } = found;
  const place = points.indexOf(point);
  const told = say("pathways.point.told", {
    name: point.name,
    size: f.bytes(point.size_bytes),
    accuracy: f.percent(point.accuracy),
  });
  const full = points.find((one) => one.kind === "full" && one.precision !== "int8");
  const [kept, all] = [totalOf(layers, true), totalOf(layers, false)];
  const range = ([low, high]: [number, number]) => `${f.percent(low)} \u2013 ${f.percent(high)}`;
  return (
    <div className="card point-card">
      <label className="stops">
        <span>{say("pathways.slider", { n: points.length })}</span>
        <input
          type="range"
          min={0}
          max={points.length - 1}
          step={1}
          value={place}
          aria-valuetext={told}
          onChange={(event) => choose(points[Number(event.target.value)]?.name ?? point.name)}
        />
        <span className="ends" aria-hidden="true">
          <span>{say("pathways.slider.small")}</span>
          <span>{say("pathways.slider.large")}</span>
        </span>
      </label>
      <p className="name">
        <strong>{point.name}</strong>
        {point.name === found.recommended ? <span className="tag good">{say("poc.recommended")}</span> : null}
        {point.precision === "int8" ? <span className="tag">int8</span> : null}
      </p>
      <div className="figures">
        <p>
          <strong>{f.bytes(point.size_bytes)}</strong> {say("poc.table.size")}
          {full ? <small>{say("pathways.of.full", { share: f.percent(point.size_bytes / full.size_bytes) })}</small> : null}
        </p>
        <p>
          <strong>{f.ms(point.latency_ms_p50)}</strong> {say("poc.table.latency")}
          <small>
            {say("pathways.latency.more", {
              p95: f.ms(point.latency_ms_p95),
              speed: f.ratio(point.speedup),
              low: f.ratio(point.speedup_ci95[0]),
              high: f.ratio(point.speedup_ci95[1]),
            })}
          </small>
        </p>
        <p>
          <strong>{f.percent(point.accuracy)}</strong> {say("poc.table.accuracy")}
          <small>{range(point.accuracy_ci95)}</small>
        </p>
        <p>
          <strong>{f.percent(all.heads ? kept.heads / all.heads : 0, 0)}</strong> {say("pathways.heads.stay")}
          <small>
            {say("pathways.kept", {
              layers: kept.layers,
              of_layers: all.layers,
              heads: f.integer(kept.heads),
              of_heads: f.integer(all.heads),
              neurons: f.integer(kept.neurons),
              of_neurons: f.integer(all.neurons),
            })}
          </small>
        </p>
      </div>
      <p className="evidence">
        <Link href={linkTo("/poc", { run: found.run, second: point.name })}>{say("pathways.evidence")}</Link>
        <span className="quiet">
          {say("pathways.files")}{" "}
          {point.files.map((file) => (
            <code key={file}>{file} </code>
          ))}
        </span>
      </p>
    </div>
  );
}

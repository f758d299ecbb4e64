import { useRef, useState, type KeyboardEvent } from "react";
import { headName, heatOf, type Layer } from "../../lib/parts";
import { useWidth } from "../../lib/width";
import { useWords } from "../../words";

const ROW = 34;
const TOP = 30;
const NAME = 38;

/**
 * The way from input to output, downwards: what stays reads from the stream and writes back to it.
 * Heads are left of the stream, MLP neurons right of it.
 */
export function PartsGraph({ layers }: { layers: Layer[] }) {
  const { say, f } = useWords();
  const [box, measured] = useWidth(720);
  const [at, setAt] = useState(0);
  const [told, setTold] = useState("");
  const drawn = useRef<SVGSVGElement>(null);
  const width = Math.min(measured, 900);
  const n = Math.max(...layers.map((one) => one.heads.length), 1);
  const stream = NAME + (width - NAME) * 0.62;
  const gap = (stream - NAME - 26) / n;
  const radius = Math.min(6.5, gap * 0.4);
  const longest = width - stream - 26;
  const height = TOP * 2 + layers.length * ROW;
  const move = (event: KeyboardEvent) => {
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -999, End: 999 }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = Math.min(layers.length - 1, Math.max(0, at + step));
    setAt(to);
    drawn.current?.querySelector<SVGElement>(`[data-at="${to}"]`)?.focus();
  };
  const describe = (layer: Layer): string => {
    const heads = layer.heads.filter((one) => one.fate === "stays").map((one) => headName(layer, one));
    return say("pathways.layer.told", {
      layer: layer.name,
      n: heads.length,
      of: layer.heads.length,
      heads: heads.length ? heads.map((one) => one.slice(4)).join(", ") : say("app.none"),
      kept: f.integer(layer.neurons.kept),
      neurons: f.integer(layer.neurons.of),
    });
  };
  return (
    <figure className="chart" ref={box}>
      <svg
        ref={drawn}
        width={width}
        height={height}
        role="group"
        aria-label={say("pathways.graph.alt", { n: layers.length })}
        onKeyDown={move}
      >
        <text className="axis" x={stream} y={16} textAnchor="middle">{say("pathways.input")}</text>
        <text className="axis" x={NAME} y={16}>{say("pathways.heads")}</text>
        <text className="axis" x={width} y={16} textAnchor="end">{say("pathways.neurons")}</text>
        <line className="stream" x1={stream} x2={stream} y1={TOP - 8} y2={height - TOP + 6} />
        {layers.map((layer, row) => {
          const y = TOP + row * ROW;
          const middle = y + ROW / 2;
          const long = layer.neurons.of ? (layer.neurons.kept / layer.neurons.of) * longest : 0;
          const stays = layer.heads.some((one) => one.fate === "stays") || layer.neurons.kept > 0;
          return (
            <g
              key={layer.number}
              className={stays ? "layer" : "layer gone"}
              data-at={row}
              tabIndex={row === at ? 0 : -1}
              role="img"
              aria-label={describe(layer)}
              onFocus={() => {
                setAt(row);
                setTold(describe(layer));
              }}
              onPointerEnter={() => setTold(describe(layer))}
            >
              <rect className="touch" x={0} y={y + 1} width={width} height={ROW - 2} rx={4} />
              <text className="axis" x={0} y={middle + 4}>{layer.name}</text>
              {layer.heads.map((head, place) => {
                const x = NAME + gap * (place + 0.5);
                const isKept = head.fate === "stays";
                return (
                  <g key={head.number} className={`node ${head.fate}`} style={{ "--heat": heatOf(head) }}>
                    {isKept ? (
                      <path
                        className="wire"
                        d={`M${stream} ${y}C${stream} ${middle} ${stream - 20} ${middle} ${x} ${middle}C${stream - 20} ${middle} ${stream} ${middle} ${stream} ${y + ROW}`}
                      />
                    ) : null}
                    <circle cx={x} cy={middle} r={radius} />
                  </g>
                );
              })}
              <rect className="whole-bar" x={stream + 20} y={middle - 6} width={longest} height={12} rx={2} />
              {layer.neurons.kept ? (
                <>
                  <path className="wire mlp" d={`M${stream} ${y}Q${stream} ${middle} ${stream + 20} ${middle}Q${stream} ${middle} ${stream} ${y + ROW}`} />
                  <rect className="kept-bar" x={stream + 20} y={middle - 6} width={Math.max(1.5, long)} height={12} rx={2} />
                </>
              ) : null}
            </g>
          );
        })}
        <text className="axis" x={stream} y={height - 8} textAnchor="middle">{say("pathways.output")}</text>
      </svg>
      <figcaption>
        <span className="reading">{told || <span className="quiet">{say("pathways.graph.hint")}</span>}</span>
        <span className="quiet">{say("pathways.graph.about")}</span>
      </figcaption>
    </figure>
  );
}

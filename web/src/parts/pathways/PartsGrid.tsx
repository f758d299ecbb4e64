import { useRef, useState, type KeyboardEvent } from "react";
import { headName, heatOf, type Layer, type Part } from "../../lib/parts";
import { useWords, type Say } from "../../words";
import type { Format } from "../../lib/format";

/** Heads and groups of neurons, a row a layer; a cell's colour is its importance. */
export function PartsGrid({ layers }: { layers: Layer[] }) {
  const { say } = useWords();
  const [told, setTold] = useState("");
  return (
    <>
      <div className="parts-pair">
        <Grid kind="heads" layers={layers} tell={setTold} />
        {layers.some((one) => one.groups.length) ? <Grid kind="groups" layers={layers} tell={setTold} /> : null}
      </div>
      <p className="reading">{told || <span className="quiet">{say("pathways.grid.hint")}</span>}</p>
    </>
  );
}

interface Props {
  kind: "heads" | "groups";
  layers: Layer[];
  tell: (text: string) => void;
}

const STEPS: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-999, 0],
  PageDown: [999, 0],
  Home: [0, -999],
  End: [0, 999],
};

/** One stop of the tab key; arrows move inside. */
function Grid({ kind, layers, tell }: Props) {
  const { say, f } = useWords();
  const [[row, column], setPlace] = useState<[number, number]>([0, 0]);
  const body = useRef<HTMLTableSectionElement>(null);
  const width = Math.max(...layers.map((one) => one[kind].length), 1);
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const to = Math.min(layers.length - 1, Math.max(0, row + step[0]));
    const most = (layers[to]?.[kind].length ?? 1) - 1;
    const across = Math.min(most, Math.max(0, column + step[1]));
    setPlace([to, across]);
    body.current?.querySelector<HTMLElement>(`[data-at="${to}-${across}"]`)?.focus();
  };
  return (
    <div className="parts-box">
      <h3 id={`parts-${kind}`}>{say(`pathways.${kind}`)}</h3>
      <table className={`parts ${kind}`} role="grid" aria-labelledby={`parts-${kind}`}>
        <tbody ref={body} onKeyDown={move}>
          {layers.map((layer, y) => (
            <tr key={layer.number}>
              <th scope="row">{layer.name}</th>
              {layer[kind].map((part, x) => (
                <td
                  key={part.number}
                  role="gridcell"
                  data-at={`${y}-${x}`}
                  tabIndex={y === row && x === column ? 0 : -1}
                  className={part.fate}
                  style={{ "--heat": heatOf(part) }}
                  aria-label={describe(kind, layer, part, say, f)}
                  onPointerEnter={() => tell(describe(kind, layer, part, say, f))}
                  onFocus={() => {
                    setPlace([y, x]);
                    tell(describe(kind, layer, part, say, f));
                  }}
                />
              ))}
              {layer[kind].length < width ? <td colSpan={width - layer[kind].length} /> : null}
              {kind === "groups" ? (
                <td className="number count">{f.percent(layer.neurons.kept / (layer.neurons.of || 1), 0)}</td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
      <p className="quiet ends">
        <span>{say(`pathways.${kind}.first`)}</span>
        <span>{say(`pathways.${kind}.last`)}</span>
      </p>
    </div>
  );
}

function describe(kind: Props["kind"], layer: Layer, part: Part, say: Say, f: Format): string {
  const share =
    part.importance === null
      ? say("pathways.importance.none")
      : say("pathways.importance.share", { share: f.percent(part.importance) });
  if (kind === "heads") return `${headName(layer, part)}: ${say(`pathways.fate.${part.fate}`)}; ${share}`;
  const n = layer.groups.length;
  const place = say("pathways.group", {
    layer: layer.name,
    from: f.percent(part.number / n, 0),
    to: f.percent((part.number + 1) / n, 0),
  });
  const { kept, of } = layer.neurons;
  return `${place}: ${share}; ${say("pathways.neurons.kept", { kept: f.integer(kept), of: f.integer(of) })}`;
}

import { useWidth } from "../lib/width";
import { useWords } from "../words";

const HEIGHT = 130;

export function Histogram({ bounds, counts }: { bounds: [number, number]; counts: number[] }) {
  const { say, f } = useWords();
  const [box, width] = useWidth(360);
  const most = Math.max(1, ...counts);
  const step = width / counts.length;
  const tall = (count: number) => (count ? Math.max(1.5, (count / most) * (HEIGHT - 24)) : 0);
  return (
    <figure className="chart" ref={box}>
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={say("neuron.histogram.alt", {
          low: f.number(bounds[0]),
          high: f.number(bounds[1]),
          n: f.integer(counts.reduce((sum, one) => sum + one, 0)),
        })}
      >
        {counts.map((count, place) => (
          <rect
            key={place}
            className="column"
            x={place * step + 0.5}
            y={HEIGHT - 20 - tall(count)}
            width={Math.max(1, step - 1)}
            height={tall(count)}
          />
        ))}
        <text className="tick" x={0} y={HEIGHT - 4}>
          {f.number(bounds[0])}
        </text>
        <text className="tick" x={width} y={HEIGHT - 4} textAnchor="end">
          {f.number(bounds[1])}
        </text>
      </svg>
    </figure>
  );
}

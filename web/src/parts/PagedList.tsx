import { useQueries, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, type ReactNode } from "react";
import { useWords } from "../words";
import { Loading, Trouble } from "./Notice";

export const PAGE = 50;

interface Page<Row> {
  /** Rows on all pages. */
  n: number;
  rows: Row[];
}

interface Props<Row> {
  /** By which pages are remembered. */
  name: readonly unknown[];
  ask: (offset: number, signal: AbortSignal) => Promise<Page<Row>>;
  draw: (row: Row) => ReactNode;
  label: string;
  count: (n: string) => string;
  empty: string;
  /** Height of a row in pixels, about. */
  height: number;
  isTall?: boolean;
}

/** Rows of any number: only those in sight are asked for and drawn. */
export function PagedList<Row>(props: Props<Row>) {
  const { f } = useWords();
  const first = useQuery(pageOf(props, 0));
  if (first.error) return <Trouble error={first.error} retry={() => void first.refetch()} />;
  if (!first.data) return <Loading />;
  const { n } = first.data;
  return (
    <>
      <p className="quiet" role="status">
        {n ? props.count(f.integer(n)) : props.empty}
      </p>
      {n ? <Rows key={JSON.stringify(props.name)} n={n} {...props} /> : null}
    </>
  );
}

function Rows<Row>({ n, ...props }: Props<Row> & { n: number }) {
  const { say } = useWords();
  const box = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: n,
    getScrollElement: () => box.current,
    estimateSize: () => props.height,
    overscan: 5,
    // Until the box is measured, as many rows are drawn as a usual screen holds.
    initialRect: { width: 800, height: 700 },
  });
  const items = list.getVirtualItems();
  const pages = [...new Set([0, ...items.map((item) => Math.floor(item.index / PAGE))])];
  const found = useQueries({ queries: pages.map((page) => pageOf(props, page)) });
  const failed = found.find((one) => one.error);
  const at = (index: number): Row | undefined =>
    found[pages.indexOf(Math.floor(index / PAGE))]?.data?.rows[index % PAGE];
  if (failed?.error) return <Trouble error={failed.error} retry={() => void failed.refetch()} />;
  return (
    <div
      className={props.isTall ? "scroll tall" : "scroll"}
      ref={box}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <ul style={{ height: list.getTotalSize() }}>
        {items.map((item) => {
          const row = at(item.index);
          return (
            <li
              key={item.key}
              data-index={item.index}
              ref={list.measureElement}
              aria-setsize={n}
              aria-posinset={item.index + 1}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {row === undefined ? <p className="loading">{say("app.loading")}</p> : props.draw(row)}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function pageOf<Row>({ name, ask }: Props<Row>, page: number) {
  return {
    queryKey: [...name, page],
    queryFn: ({ signal }: { signal: AbortSignal }) => ask(page * PAGE, signal),
  };
}

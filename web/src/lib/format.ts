/** Every number of the page is written here. */

import type { Lang } from "../words";

const MINUS = "\u2212";
const NOTHING = "\u2013";

export interface Format {
  integer(value: number): string;
  percent(share: number | null | undefined, digits?: number): string;
  points(change: number): string;
  pointsRange(range: readonly [number, number]): string;
  ms(value: number): string;
  bytes(value: number): string;
  ratio(value: number): string;
  number(value: number | null | undefined, digits?: number): string;
  signed(value: number, digits?: number): string;
  /** Three figures, without zeros at the end. */
  short(value: number | null | undefined): string;
  date(utc: string): string;
  duration(seconds: number): string;
}

const signed = (text: string): string => text.replace("-", MINUS);

/** Three figures, as an engineer would say them. */
function brief(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

export function makeFormat(lang: Lang): Format {
  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const dates = new Intl.DateTimeFormat(lang === "ja" ? "ja-JP" : "en-GB", {
    year: "numeric",
    month: lang === "ja" ? "long" : "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });
  const points = (change: number): string => {
    const value = Math.round(change * 1000) / 10;
    return signed(`${value > 0 ? "+" : ""}${value.toFixed(1)}`);
  };
  return {
    integer: (value) => signed(grouped.format(value)),
    percent: (share, digits = 1) =>
      share === null || share === undefined
        ? NOTHING
        : signed(`${(share * 100).toFixed(digits)}%`.replace(/^-(0(\.0+)?%)$/, "$1")),
    points,
    pointsRange: ([low, high]) =>
      lang === "ja" ? `${points(low)} \uff5e ${points(high)}` : `${points(low)} to ${points(high)}`,
    ms: (value) => `${brief(value)} ms`,
    bytes: (value) =>
      value >= 1e9 ? `${brief(value / 1e9)} GB` : `${brief(value / 1e6)} MB`,
    ratio: (value) =>
      `${value >= 10 ? grouped.format(value) : value.toFixed(1)}${lang === "ja" ? " 倍" : "\u00d7"}`,
    number: (value, digits = 2) =>
      value === null || value === undefined ? NOTHING : signed(value.toFixed(digits)),
    signed: (value, digits = 2) =>
      signed(`${value > 0 ? "+" : ""}${value.toFixed(digits)}`),
    short: (value) =>
      value === null || value === undefined ? NOTHING : signed(String(Number(value.toPrecision(3)))),
    date: (utc) => {
      const when = new Date(utc);
      return Number.isNaN(when.getTime()) ? utc : dates.format(when);
    },
    duration: (seconds) =>
      lang === "ja"
        ? seconds < 90
          ? `${Math.round(seconds)} 秒`
          : `${Math.round(seconds / 60)} 分`
        : seconds < 90
          ? `${Math.round(seconds)} s`
          : `${Math.round(seconds / 60)} min`,
  };
}

/** Reads the beginning of a table before it is sent; the server reads the whole of it. */

export const PREVIEW_BYTES = 262_144;
const MAX_ROWS = 200;

export type Fault = "empty" | "binary" | "encoding" | "type" | "large" | "header" | "rows" | "columns";

export interface Preview {
  columns: string[];
  rows: string[][];
}

/** Split text into rows of fields; quotes as RFC 4180 has them. A last row cut off is left out. */
export function parse(text: string, separator: string, isWhole: boolean): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let isQuoted = false;
  for (let at = 0; at < text.length && rows.length < MAX_ROWS; at += 1) {
    const char = text[at]!;
    if (isQuoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') field += text[++at]!;
      else isQuoted = false;
    } else if (char === '"' && field === "") isQuoted = true;
    else if (char === separator) {
      row.push(field);
      field = "";
    } else if (char === "\n") {
      rows.push([...row, field.replace(/\r$/, "")]);
      row = [];
      field = "";
    } else field += char;
  }
  if (isWhole && rows.length < MAX_ROWS && (field || row.length)) rows.push([...row, field]);
  return rows.filter((one) => one.some((value) => value.trim()));
}

/** Say what a table's beginning holds, or what is wrong with it. */
export function preview(bytes: Uint8Array, name: string, isWhole: boolean): Preview | Fault {
  if (!bytes.length) return "empty";
  if (bytes.includes(0)) return "binary";
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return "encoding";
  }
  if (!text.trim()) return "empty";
  if (name.toLowerCase().endsWith(".jsonl")) return ofLines(text, isWhole);
  const [columns = [], ...rows] = parse(text, separatorOf(text, name), isWhole);
  if (columns.length < 2) return "columns";
  const named = columns.map((one) => one.trim());
  if (named.some((one) => !one || /^[-+\d.,]+$/.test(one)) || new Set(named).size < named.length)
    return "header";
  return rows.length ? { columns, rows } : "rows";
}

function separatorOf(text: string, name: string): string {
  if (name.toLowerCase().endsWith(".tsv")) return "\t";
  const first = text.split("\n", 1)[0]!;
  const counted = [",", ";", "\t"].map((one) => [first.split(one).length, one] as const);
  return counted.reduce((best, one) => (one[0] > best[0] ? one : best))[1];
}

function ofLines(text: string, isWhole: boolean): Preview | Fault {
  const lines = text.split("\n").slice(0, MAX_ROWS);
  if (!isWhole && lines.length < MAX_ROWS) lines.pop();
  try {
    const found = lines.filter((one) => one.trim()).map((one) => JSON.parse(one) as object);
    const columns = Object.keys(found[0] ?? {});
    if (columns.length < 2) return "columns";
    const rows = found.map((one) => columns.map((name) => String(Object(one)[name] ?? "")));
    return { columns, rows };
  } catch {
    return "header";
  }
}

/** Guess which column holds the texts (the longest) and which the labels (few values). */
export function guess({ columns, rows }: Preview): { text: string; label: string } {
  const mean = (at: number) => rows.reduce((sum, row) => sum + (row[at]?.length ?? 0), 0);
  const kinds = (at: number) => new Set(rows.map((row) => row[at])).size;
  const places = columns.map((_, at) => at);
  const text = places.reduce((best, at) => (mean(at) > mean(best) ? at : best), 0);
  const others = places.filter((at) => at !== text);
  const several = others.filter((at) => kinds(at) > 1);
  const from = several.length ? several : others;
  const named = from.find((at) => /^(label|class|category|target|y)$/i.test(columns[at]!.trim()));
  const label = named ?? from.reduce((best, at) => (kinds(at) < kinds(best) ? at : best), from[0]!);
  return { text: columns[text]!, label: columns[label]! };
}

/** Values of a column among the rows that were read. */
export const valuesOf = ({ columns, rows }: Preview, column: string): string[] => [
  ...new Set(rows.map((row) => row[columns.indexOf(column)] ?? "")),
];

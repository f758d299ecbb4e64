/** Words of the page in one language; a missing one is an error of the compiler. */

import { createContext, useContext } from "react";
import { makeFormat, type Format } from "../lib/format";
import { en } from "./en";
import { ja } from "./ja";

export type Lang = "en" | "ja";
export type Key = keyof typeof en;
export type Words = Record<Key, string>;
export type Say = (key: Key, blanks?: Record<string, string | number>) => string;

const TABLES: Record<Lang, Words> = { en, ja };

/** Whether the page has a word of that name; names from the server may be newer than the page. */
export const isWord = (name: string): name is Key => name in en;

export interface Spoken {
  lang: Lang;
  say: Say;
  f: Format;
}

export function spoken(lang: Lang): Spoken {
  const table = TABLES[lang];
  const say: Say = (key, blanks = {}) =>
    table[key].replace(/\{(\w+)\}/g, (_, name: string) => String(blanks[name] ?? ""));
  return { lang, say, f: makeFormat(lang) };
}

export const SpokenContext = createContext<Spoken>(spoken("en"));
export const useWords = (): Spoken => useContext(SpokenContext);

/** The language of the address, else of the browser. */
export function chosenLang(asked: string | null): Lang {
  if (asked === "en" || asked === "ja") return asked;
  return navigator.language.startsWith("ja") ? "ja" : "en";
}

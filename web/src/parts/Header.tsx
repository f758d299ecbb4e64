import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { key, post, type Start } from "../api/client";
import { linkTo, useAddress } from "../lib/address";
import { useWords, type Key } from "../words";

type Theme = "light" | "dark";
const THEME = "sparsepath.theme";

/** Screens that have something to show. */
function screens(start: Start | null): { path: string; word: Key }[] {
  if (!start) return [];
  const found: { path: string; word: Key }[] = [{ path: "/", word: "nav.start" }];
  if (start.n_runs) {
    found.push({ path: "/poc", word: "nav.poc" }, { path: "/pathways", word: "nav.pathways" });
  }
  if (start.role === "operator" || start.role === "admin")
    found.push({ path: "/train", word: "nav.train" });
  found.push({ path: "/why", word: "nav.why" });
  const mayBuild = start.role === "operator" || start.role === "admin";
  if (start.n_catalogues || mayBuild) found.push({ path: "/neurons", word: "nav.neurons" });
  if (start.is_steerable) found.push({ path: "/steer", word: "nav.steer" });
  found.push({ path: "/govern", word: "nav.govern" });
  return found;
}

export function Header({ start }: { start: Start | null }) {
  const { say, lang } = useWords();
  const [path] = useLocation();
  const [, change] = useAddress();
  return (
    <header className="top">
      <Link className="brand" href={linkTo("/")}>
        <img src="/icon.svg" alt="" width="22" height="22" />
        sparsepath
      </Link>
      <nav aria-label={say("app.nav")}>
        {screens(start).map((screen) => (
          <Link
            key={screen.path}
            href={linkTo(screen.path)}
            aria-current={isWithin(path, screen.path) ? "page" : undefined}
          >
            {say(screen.word)}
          </Link>
        ))}
      </nav>
      <div className="tools">
        {start?.person ? <Person name={start.person} /> : null}
        {start?.needs_keys && key.get() ? (
          <button
            className="plain"
            onClick={() => {
              key.clear();
              window.location.reload();
            }}
          >
            {say("login.leave")}
          </button>
        ) : null}
        <button
          className="plain"
          lang={lang === "ja" ? "en" : "ja"}
          onClick={() => change({ lang: lang === "ja" ? "en" : "ja" })}
        >
          {lang === "ja" ? "English" : "日本語"}
        </button>
        <ThemeButton />
      </div>
    </header>
  );
}

/** Whether an address is that of a screen, or of a part of it. */
function isWithin(path: string, screen: string): boolean {
  return path === screen || (screen !== "/" && path.startsWith(`${screen}/`));
}

/** Who is logged in: the name without the id by which records tell people apart. */
function Person({ name }: { name: string }) {
  const { say } = useWords();
  return (
    <>
      <span className="who" title={name}>
        {name.replace(/ <[0-9a-f]{12}>$/, "")}
      </span>
      <button
        className="plain"
        onClick={() => void post("/logout", {}).finally(() => window.location.reload())}
      >
        {say("login.out")}
      </button>
    </>
  );
}

function ThemeButton() {
  const { say } = useWords();
  const [theme, setTheme] = useState<Theme>(firstTheme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  const other: Theme = theme === "dark" ? "light" : "dark";
  return (
    <button
      className="plain icon"
      aria-label={say("app.theme")}
      title={say("app.theme")}
      onClick={() => {
        localStorage.setItem(THEME, other);
        setTheme(other);
      }}
    >
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7.2" fill="none" stroke="currentColor" strokeWidth="1.6" />
        <path d="M10 2.8a7.2 7.2 0 0 1 0 14.4z" fill="currentColor" />
      </svg>
    </button>
  );
}

function firstTheme(): Theme {
  const kept = localStorage.getItem(THEME);
  if (kept === "light" || kept === "dark") return kept;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

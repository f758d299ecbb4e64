import { useState } from "react";
import { useLocation } from "wouter";
import { key } from "../api/client";
import { useAddress } from "../lib/address";
import { Prose } from "../parts/Prose";
import { useWords, type Key } from "../words";

/** Why a login at the provider came to nothing, as the server says in the address. */
const FAILURES: Record<string, Key> = {
  lost: "login.lost",
  refused: "login.refused",
  unavailable: "login.unavailable",
  failed: "login.failed",
};

export function LoginScreen({
  canLogIn,
  wasWrong,
  retry,
}: {
  canLogIn: boolean;
  wasWrong: boolean;
  retry: () => void;
}) {
  const { say } = useWords();
  return (
    <div className="login">
      <h1>{say(canLogIn ? "login.person" : "login.title")}</h1>
      {canLogIn ? <ProviderLink /> : null}
      {canLogIn ? (
        <details open={wasWrong}>
          <summary>{say("login.with_key")}</summary>
          <KeyForm wasWrong={wasWrong} retry={retry} />
        </details>
      ) : (
        <KeyForm wasWrong={wasWrong} retry={retry} />
      )}
    </div>
  );
}

/** A link and no button: the browser leaves the page, and comes back to where it was. */
function ProviderLink() {
  const { say } = useWords();
  const [path] = useLocation();
  const [asked] = useAddress();
  const failure = FAILURES[asked.get("login") ?? ""];
  const kept = new URLSearchParams(asked);
  kept.delete("login");
  const next = kept.size ? `${path}?${kept}` : path;
  return (
    <>
      {failure ? (
        <p role="alert" className="bad">
          {say(failure)}
        </p>
      ) : null}
      <p>{say("login.provider")}</p>
      <a className="button primary" href={`/api/v1/login?next=${encodeURIComponent(next)}`} onClick={key.clear}>
        {say("login.go")}
      </a>
    </>
  );
}

function KeyForm({ wasWrong, retry }: { wasWrong: boolean; retry: () => void }) {
  const { say } = useWords();
  const [typed, setTyped] = useState("");
  return (
    <form
      className="key"
      onSubmit={(event) => {
        event.preventDefault();
        key.set(typed.trim());
        retry();
      }}
    >
      <p>
        <Prose text={say("login.about")} />
      </p>
      <label>
        {say("login.key")}
        <input
          type="password"
          autoComplete="off"
          required
          value={typed}
          aria-invalid={wasWrong}
          aria-describedby={wasWrong ? "wrong" : undefined}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      {wasWrong ? (
        <p id="wrong" role="alert" className="bad">
          {say("login.wrong")}
        </p>
      ) : null}
      <button type="submit" className="primary">
        {say("login.enter")}
      </button>
    </form>
  );
}

import { useState } from "react";
import { key } from "../api/client";
import { Prose } from "../parts/Prose";
import { useWords } from "../words";

export function LoginScreen({ wasWrong, retry }: { wasWrong: boolean; retry: () => void }) {
  const { say } = useWords();
  const [typed, setTyped] = useState("");
  return (
    <form
      className="login"
      onSubmit={(event) => {
        event.preventDefault();
        key.set(typed.trim());
        retry();
      }}
    >
      <h1>{say("login.title")}</h1>
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

import { Refusal } from "../api/client";
import { useWords } from "../words";

export function Loading() {
  const { say } = useWords();
  return (
    <p className="loading" role="status">
      {say("app.loading")}
    </p>
  );
}

export function Trouble({ error, retry }: { error: Error; retry?: (() => void) | undefined }) {
  const { say } = useWords();
  const told = error instanceof Refusal ? error : null;
  const message =
    told?.status === 0
      ? say("trouble.unreachable")
      : told?.code === "role"
        ? say("trouble.role")
        : error.message;
  return (
    <div className="notice" role="alert">
      <p>
        <strong>{say("trouble.title")}</strong>
      </p>
      <p>{message}</p>
      {told?.fix ? <p className="quiet">{say("trouble.fix", { fix: told.fix })}</p> : null}
      {retry ? (
        <p>
          <button onClick={retry}>{say("app.retry")}</button>
        </p>
      ) : null}
    </div>
  );
}

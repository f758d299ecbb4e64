import { useId, type ReactNode } from "react";
import { allows, type Role } from "../lib/roles";
import { useWords, type Say } from "../words";

interface Props {
  /** Who asks, and who may. */
  role: Role;
  least: Role;
  /** Why it cannot be done now, beside the role; null: it can. */
  why?: string | null;
  act: () => void;
  isBusy?: boolean;
  look?: "primary" | "danger";
  children: ReactNode;
}

/** A button that says why it cannot be used, before anybody tries. */
export function Deed({ role, least, why = null, act, isBusy = false, look, children }: Props) {
  const { say } = useWords();
  const id = useId();
  const reason = allows(role, least) ? why : needs(say, role, least);
  return (
    <span className="deed">
      <button
        type="button"
        className={look}
        disabled={reason !== null || isBusy}
        aria-describedby={reason === null ? undefined : id}
        onClick={act}
      >
        {children}
      </button>
      {reason === null ? null : <small id={id}>{reason}</small>}
    </span>
  );
}

/** What only some may see; others read which key they need. */
export function Gated({ role, least, children }: Pick<Props, "role" | "least" | "children">) {
  const { say } = useWords();
  return allows(role, least) ? children : <p className="notice">{needs(say, role, least)}</p>;
}

export function needs(say: Say, role: Role, least: Role): string {
  return say("role.needs", { least: say(`role.${least}`), role: say(`role.${role}`) });
}

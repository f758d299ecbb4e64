import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { post, type Schemas } from "../../api/client";
import { linkTo } from "../../lib/address";
import { ROLES } from "../../lib/roles";
import { useWords } from "../../words";
import { Command } from "../Command";
import { Trouble } from "../Notice";
import { Prose } from "../Prose";
import { Field } from "./PolicyForm";

type Made = Schemas["KeyMade"];

/** Make a key, and show it this once. */
export function KeyForm() {
  const { say } = useWords();
  const queries = useQueryClient();
  const [typed, setTyped] = useState({ name: "", role: "viewer", days: "90", minute: "", day: "" });
  const make = useMutation({
    mutationFn: () =>
      post<Made>("/keys", {
        name: typed.name.trim(),
        role: typed.role,
        days: typed.days ? Number(typed.days) : null,
        per_minute: typed.minute ? Number(typed.minute) : null,
        per_day: typed.day ? Number(typed.day) : null,
      }),
    gcTime: 0, // the secret goes with the view
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["keys"] }),
  });
  const field = (name: keyof typeof typed) => ({
    value: typed[name],
    onChange: (event: React.ChangeEvent<HTMLInputElement | HTMLSelectElement>) =>
      setTyped({ ...typed, [name]: event.target.value }),
  });
  const number = { type: "number", min: 1, step: 1, inputMode: "numeric" } as const;
  const back = (
    <p>
      <Link href={linkTo("/govern/keys")}>{say("keys.back")}</Link>
    </p>
  );
  if (make.data) {
    const name = make.data.key.name;
    return (
      <div role="status">
        <p>
          <strong>{say("keys.secret")}</strong>
        </p>
        <Command lines={[make.data.secret]} isText />
        <p>
          <Prose text={say("keys.secret.about", { name })} />
        </p>
        {back}
      </div>
    );
  }
  return (
    <>
      {back}
      <form
        className="say wide-form"
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate();
        }}
      >
        <Field name={say("keys.name")} about={say("keys.name.about")}>
          <input required maxLength={64} autoComplete="off" {...field("name")} />
        </Field>
        <Field name={say("keys.role")}>
          <select {...field("role")}>
            {ROLES.map((one) => (
              <option key={one} value={one}>
                {say(`keys.role.${one}`)}
              </option>
            ))}
          </select>
        </Field>
        <Field name={say("keys.days")} about={say("keys.days.about")}>
          <input {...number} max={3650} {...field("days")} />
        </Field>
        <div className="pair">
          <Field name={say("keys.minute")} about={say("keys.limit.about")}>
            <input {...number} {...field("minute")} />
          </Field>
          <Field name={say("keys.day")} about={say("keys.limit.about")}>
            <input {...number} {...field("day")} />
          </Field>
        </div>
        <p className="deeds">
          <button className="primary" type="submit" disabled={make.isPending}>
            {say("keys.make")}
          </button>
        </p>
        {make.error ? <Trouble error={make.error} /> : null}
      </form>
    </>
  );
}

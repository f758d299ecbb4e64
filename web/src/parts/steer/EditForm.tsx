import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { get } from "../../api/client";
import type { Limits, Steering } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { MODES, PLACES, WHENS, editOf, isNumber, written } from "../../lib/edit";
import { useWords } from "../../words";
import { Trouble } from "../Notice";
import { NeuronPicker } from "./NeuronPicker";

/** What is done to which neuron, how strongly, where and when. */
export function EditForm({ steering }: { steering: Steering }) {
  const { say, f } = useWords();
  const [asked, change] = useAddress();
  const edit = editOf(asked);
  const neuron = edit.neuron.trim();
  const choose = useCallback(
    (name: string) => change({ neuron: name || null, preset: null, dense: null }),
    [change],
  );
  const limits = useQuery({
    queryKey: ["steer-limits", neuron],
    queryFn: ({ signal }) => get<Limits>("/steering/neuron", { name: neuron }, signal),
    enabled: neuron !== "",
    retry: false,
    staleTime: Infinity,
  });
  const most = edit.mode === "scale" ? limits.data?.factor : limits.data?.value;
  const isStrong = most != null && isNumber(edit.value) && Math.abs(Number(edit.value)) > most;
  const isPlaced = steering.kind === "language-model";
  const text = written(edit);
  return (
    <>
      <NeuronPicker steering={steering} neuron={edit.neuron} choose={choose} />
      {limits.isFetching ? <p className="loading">{say("steer.limits.wait")}</p> : null}
      {limits.error ? <Trouble error={limits.error} /> : null}
      <fieldset>
        <legend>{say("steer.mode")}</legend>
        {MODES.map((mode) => (
          <label key={mode} className="radio">
            <input
              type="radio"
              name="mode"
              checked={edit.mode === mode}
              onChange={() => change({ mode: mode === "set" ? null : mode, preset: null })}
            />
            {say(`steer.mode.${mode}`)}
          </label>
        ))}
      </fieldset>
      {edit.mode === "suppress" ? null : (
        <div className="strength">
          <label>
            {say("steer.value")}
            <input
              inputMode="decimal"
              value={edit.value}
              aria-invalid={isStrong || undefined}
              aria-describedby="strength-about"
              onChange={(event) => change({ value: event.target.value, preset: null })}
            />
          </label>
          {most ? (
            <input
              type="range"
              aria-label={say("steer.value.slide")}
              min={edit.mode === "scale" ? 0 : -most}
              max={most}
              step={most / 100}
              value={isNumber(edit.value) ? Number(edit.value) : 0}
              onChange={(event) =>
                change({ value: Number(Number(event.target.value).toPrecision(3)), preset: null })
              }
            />
          ) : null}
          <p id="strength-about" className={isStrong ? "bad" : "quiet"}>
            {limits.data
              ? edit.mode === "scale"
                ? say("steer.limits.factor", { most: f.number(limits.data.factor, 1) })
                : limits.data.value === null
                  ? say("steer.limits.none")
                  : say(limits.data.largest ? "steer.limits.value" : "steer.limits.never", {
                      largest: f.number(limits.data.largest),
                      most: f.number(limits.data.value),
                    })
              : null}
          </p>
        </div>
      )}
      {isPlaced ? <WhereAndWhen /> : null}
      {limits.data && !limits.data.is_sparse ? (
        <label className="radio">
          <input
            type="checkbox"
            checked={asked.get("dense") === "1"}
            onChange={(event) => change({ dense: event.target.checked ? "1" : null })}
          />
          {say("steer.dense")}
        </label>
      ) : null}
      <p className="quiet" role="status">
        {text ? (
          <>
            {say("steer.written")} <code>{text}</code>
          </>
        ) : (
          say("steer.unwritten")
        )}
      </p>
    </>
  );
}

/** Positions and condition, which only texts that are written have. */
function WhereAndWhen() {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const edit = editOf(asked);
  return (
    <div className="row">
      <label>
        {say("steer.at")}
        <select
          value={edit.place}
          onChange={(event) =>
            change({ at: event.target.value === "all" ? null : event.target.value, preset: null })
          }
        >
          {PLACES.map((one) => (
            <option key={one} value={one}>
              {say(`steer.at.${one}`)}
            </option>
          ))}
        </select>
      </label>
      {edit.place === "slice" ? (
        <label>
          {say("steer.slice")}
          <input
            value={edit.slice}
            placeholder="3:10"
            onChange={(event) => change({ slice: event.target.value })}
          />
        </label>
      ) : null}
      <label>
        {say("steer.when")}
        <select
          value={edit.when}
          onChange={(event) =>
            change({ when: event.target.value === "always" ? null : event.target.value, preset: null })
          }
        >
          {WHENS.map((one) => (
            <option key={one} value={one}>
              {say(`steer.when.${one}`)}
            </option>
          ))}
        </select>
      </label>
      {edit.when === "always" ? null : (
        <label>
          {say(edit.when === "fires" ? "steer.what.neuron" : "steer.what.words")}
          <input
            value={edit.what}
            placeholder={edit.when === "fires" ? "L01/5" : "the|a"}
            onChange={(event) => change({ what: event.target.value })}
          />
        </label>
      )}
    </div>
  );
}

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import digitsDense from "../../../../recipes/digits-vit-dense.toml?raw";
import digits from "../../../../recipes/digits-vit-ssa.toml?raw";
import molecules from "../../../../recipes/nci-egt-ssa.toml?raw";
import topk from "../../../../recipes/stdlib-lm-topk.toml?raw";
import language from "../../../../recipes/stdlib-lm-ssa.toml?raw";
import texts from "../../../../recipes/texts-encoder-ssa.toml?raw";
import { post } from "../../api/client";
import type { Job } from "../../api/jobs";
import { useWords } from "../../words";
import { Trouble } from "../Notice";

const RECIPES: Record<string, string> = {
  "digits-vit-ssa": digits,
  "digits-vit-dense": digitsDense,
  "stdlib-lm-ssa": language,
  "stdlib-lm-topk": topk,
  "texts-encoder-ssa": texts,
  "nci-egt-ssa": molecules,
};

/** Begin a training by a shipped recipe, changed or not. */
export function NewTraining({ begun }: { begun: (id: string) => void }) {
  const { say } = useWords();
  const [name, setName] = useState("digits-vit-ssa");
  const [recipe, setRecipe] = useState(digits);
  const client = useQueryClient();
  const send = useMutation({
    mutationFn: () => post<Job>("/jobs/training", { name, recipe }),
    onSuccess: (job) => {
      void client.invalidateQueries({ queryKey: ["trainings"] });
      begun(job.id);
    },
  });
  return (
    <details>
      <summary>{say("train.new")}</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send.mutate();
        }}
      >
        <div className="row">
          <label>
            {say("train.new.from")}
            <select
              defaultValue="digits-vit-ssa"
              onChange={(event) => {
                setName(event.target.value);
                setRecipe(RECIPES[event.target.value]!);
              }}
            >
              {Object.keys(RECIPES).map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
          <label>
            {say("train.new.name")}
            <input
              required
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </label>
        </div>
        <label>
          {say("train.new.recipe")}
          <textarea
            className="code"
            rows={16}
            required
            spellCheck={false}
            value={recipe}
            onChange={(event) => setRecipe(event.target.value)}
          />
        </label>
        <p className="quiet">{say("train.new.about")}</p>
        {send.error ? <Trouble error={send.error} /> : null}
        <button className="primary" disabled={send.isPending}>
          {say(send.isPending ? "train.new.checking" : "train.new.begin")}
        </button>
      </form>
    </details>
  );
}

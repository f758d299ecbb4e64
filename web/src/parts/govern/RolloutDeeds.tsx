import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, type Start } from "../../api/client";
import type { Rollout, RolloutState } from "../../lib/govern";
import { useWords } from "../../words";
import { Confirm } from "../Confirm";
import { Deed } from "../Deed";
import { Trouble } from "../Notice";

type What = "promote" | "share" | "roll-back";

/** The next stage, another share, or back; each is asked once more, with what it does. */
export function RolloutDeeds({ start, rollout }: { start: Start; rollout: Rollout }) {
  const { say } = useWords();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<What | null>(null);
  const [why, setWhy] = useState("");
  const [percent, setPercent] = useState(String(Math.round(rollout.share * 100)));
  const { stage, revision } = rollout;
  const needsShare = asked === "share" || (asked === "promote" && stage === "shadow");
  const act = useMutation({
    mutationFn: (what: What) => {
      const told = { revision, why: why.trim() };
      if (what === "roll-back") return post<RolloutState>("/rollout/roll-back", told);
      const share = needsShare ? { share: Number(percent) / 100 } : {};
      return post<RolloutState>("/rollout/promote", { ...told, ...share });
    },
    onSuccess: (state) => queries.setQueryData(["rollout"], state),
    onSettled: async () => {
      setAsked(null);
      setWhy("");
      await queries.invalidateQueries({ queryKey: ["rollout"] });
    },
  });
  const names = { old: rollout.old.name, new: rollout.new.name };
  const isOpen = stage === "shadow" || stage === "canary";
  const isBack = stage === "rolled-back";
  return (
    <>
      <div className="deeds">
        {isOpen ? (
          <Deed role={start.role} least="admin" act={() => setAsked("promote")} look="primary">
            {say(stage === "shadow" ? "rollout.to.canary" : "rollout.to.full")}
          </Deed>
        ) : null}
        {stage === "canary" ? (
          <Deed role={start.role} least="admin" act={() => setAsked("share")}>
            {say("rollout.to.share")}
          </Deed>
        ) : null}
        {isBack ? null : (
          <Deed role={start.role} least="admin" act={() => setAsked("roll-back")} look="danger">
            {say("rollout.back")}
          </Deed>
        )}
      </div>
      {act.error ? <Trouble error={act.error} /> : null}
      {asked ? (
        <Confirm
          title={say(`rollout.confirm.${asked}`, names)}
          deed={say(asked === "roll-back" ? "rollout.back.now" : "rollout.go.on")}
          act={() => act.mutate(asked)}
          leave={() => setAsked(null)}
          isBusy={act.isPending}
          isDangerous={asked === "roll-back"}
        >
          <p>{say(asked === "roll-back" ? "rollout.back.about" : "rollout.go.on.about", names)}</p>
          {needsShare ? (
            <label>
              {say("rollout.share")}
              <input
                type="number"
                min={0.1}
                max={100}
                step="any"
                required
                value={percent}
                onChange={(event) => setPercent(event.target.value)}
              />
            </label>
          ) : null}
          <label>
            {say("rollout.why")}
            <input maxLength={500} value={why} onChange={(event) => setWhy(event.target.value)} />
          </label>
        </Confirm>
      ) : null}
    </>
  );
}

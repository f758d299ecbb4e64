import type { Steering } from "../../api/steer";
import { useAddress } from "../../lib/address";
import { useWords } from "../../words";

/** What the text is for, where a policy must allow the steering. */
export function UseField({ steering }: { steering: Steering }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  if (!steering.is_policy_needed) return null;
  return (
    <label>
      {say("steer.use")}
      <select value={asked.get("use") ?? ""} onChange={(event) => change({ use: event.target.value })}>
        <option value="">{say("steer.use.none")}</option>
        {steering.uses.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

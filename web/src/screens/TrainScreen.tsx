import { useQuery } from "@tanstack/react-query";
import { get, type Schemas, type Start } from "../api/client";
import { useAddress } from "../lib/address";
import { Loading, Trouble } from "../parts/Notice";
import { NewTraining } from "../parts/train/NewTraining";
import { OneTraining } from "../parts/train/OneTraining";
import { useWords } from "../words";

const LOOK_MS = 5000;

export default function TrainScreen({ start }: { start: Start }) {
  const { say } = useWords();
  const [asked, change] = useAddress();
  const mayTrain = start.role === "operator" || start.role === "admin";
  const found = useQuery({
    queryKey: ["trainings"],
    enabled: mayTrain,
    queryFn: ({ signal }) => get<Schemas["TrainingList"]>("/trainings", {}, signal),
    refetchInterval: LOOK_MS,
  });
  const trainings = found.data?.trainings ?? [];
  const id = asked.get("training") ?? trainings[0]?.id ?? null;
  const beside = asked.get("beside");
  const missing = start.machine.missing.train ?? [];
  return (
    <>
      <h1>{say("train.title")}</h1>
      {mayTrain ? null : <p>{say("train.role")}</p>}
      {found.error ? <Trouble error={found.error} retry={() => void found.refetch()} /> : null}
      {mayTrain && found.isPending ? <Loading /> : null}
      {mayTrain && missing.length ? <p className="notice">{say("train.missing")}</p> : null}
      {mayTrain && !missing.length ? (
        <NewTraining begun={(one) => change({ training: one, beside: null, at: null }, { push: true })} />
      ) : null}
      {found.data && !trainings.length ? <p>{say("train.none")}</p> : null}
      {trainings.length ? (
        <div className="row">
          {(["training", "beside"] as const).map((which) => (
            <label key={which}>
              {say(`train.${which}`)}
              <select
                value={(which === "training" ? id : beside) ?? ""}
                onChange={(event) => change({ [which]: event.target.value, at: null }, { push: true })}
              >
                {which === "beside" ? <option value="">{say("train.alone")}</option> : null}
                {trainings
                  .filter((one) => which === "training" || one.id !== id)
                  .map((one) => (
                    <option key={one.id} value={one.id}>
                      {one.job ? `${one.name} (${one.id.slice(0, 4)})` : one.name}
                    </option>
                  ))}
              </select>
            </label>
          ))}
        </div>
      ) : null}
      {id && mayTrain ? <OneTraining key={id} id={id} beside={beside === id ? null : beside} /> : null}
    </>
  );
}

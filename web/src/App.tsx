import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo } from "react";
import { Route, Switch } from "wouter";
import { get, key, Refusal, type Start } from "./api/client";
import { useAddress } from "./lib/address";
import { Header } from "./parts/Header";
import { Loading, Trouble } from "./parts/Notice";
import { LoginScreen } from "./screens/LoginScreen";
import { chosenLang, SpokenContext, spoken, useWords } from "./words";

const StartScreen = lazy(() => import("./screens/StartScreen"));
const PocScreen = lazy(() => import("./screens/PocScreen"));
const WhyScreen = lazy(() => import("./screens/WhyScreen"));
const GovernScreen = lazy(() => import("./screens/GovernScreen"));
const NeuronsScreen = lazy(() => import("./screens/NeuronsScreen"));
const TrainScreen = lazy(() => import("./screens/TrainScreen"));
const PathwaysScreen = lazy(() => import("./screens/PathwaysScreen"));
const SteerScreen = lazy(() => import("./screens/SteerScreen"));

export function App() {
  const [asked] = useAddress();
  const lang = chosenLang(asked.get("lang"));
  const words = useMemo(() => spoken(lang), [lang]);
  useEffect(() => {
    document.documentElement.lang = lang;
  }, [lang]);
  return (
    <SpokenContext value={words}>
      <Opened />
    </SpokenContext>
  );
}

/** What is served decides which screens there are; without a key there is only one. */
function Opened() {
  const { say } = useWords();
  const start = useQuery({
    queryKey: ["start"],
    queryFn: ({ signal }) => get<Start>("/start", {}, signal),
  });
  const isLocked = start.error instanceof Refusal && start.error.status === 401;
  const canLogIn = isLocked && start.error instanceof Refusal && start.error.code === "no_login";
  return (
    <>
      <a className="skip" href="#main">
        {say("app.skip")}
      </a>
      <Header start={start.data ?? null} />
      <main id="main" tabIndex={-1}>
        {isLocked ? (
          <LoginScreen
            canLogIn={canLogIn}
            wasWrong={key.get() !== null}
            retry={() => void start.refetch()}
          />
        ) : start.error ? (
          <Trouble error={start.error} retry={() => void start.refetch()} />
        ) : start.data ? (
          <Suspense fallback={<Loading />}>
            <Screens start={start.data} />
          </Suspense>
        ) : (
          <Loading />
        )}
      </main>
    </>
  );
}

function Screens({ start }: { start: Start }) {
  const { say } = useWords();
  return (
    <Switch>
      <Route path="/">
        <StartScreen start={start} />
      </Route>
      <Route path="/poc">
        <PocScreen start={start} />
      </Route>
      <Route path="/why">
        <WhyScreen start={start} />
      </Route>
      <Route path="/neurons">
        <NeuronsScreen start={start} />
      </Route>
      <Route path="/pathways">
        <PathwaysScreen />
      </Route>
      <Route path="/train">
        <TrainScreen start={start} />
      </Route>
      <Route path="/steer">
        <SteerScreen start={start} />
      </Route>
      <Route path="/govern/:question?">
        {({ question }) => <GovernScreen start={start} question={question ?? ""} />}
      </Route>
      <Route>
        <p>{say("trouble.unknown")}</p>
      </Route>
    </Switch>
  );
}

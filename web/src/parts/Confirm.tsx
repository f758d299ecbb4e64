import { useLayoutEffect, useRef, type ReactNode } from "react";
import { useWords } from "../words";

interface Props {
  title: string;
  /** What the button says that does it. */
  deed: string;
  act: () => void;
  leave: () => void;
  isBusy?: boolean;
  isDangerous?: boolean;
  children: ReactNode;
}

/** A question before something is done that others notice. */
export function Confirm(props: Props) {
  const { say } = useWords();
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const shown = box.current;
    shown?.showModal();
    // Closing gives the focus back to the button that opened it.
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={box} aria-label={props.title} onClose={() => box.current?.open || props.leave()}>
      <form
        className="say"
        onSubmit={(event) => {
          event.preventDefault();
          props.act();
        }}
      >
        <h2>{props.title}</h2>
        {props.children}
        <p className="deeds">
          <button type="submit" className={props.isDangerous ? "danger" : "primary"} disabled={props.isBusy}>
            {props.deed}
          </button>
          <button type="button" onClick={() => box.current?.close()}>
            {say("govern.leave")}
          </button>
        </p>
      </form>
    </dialog>
  );
}

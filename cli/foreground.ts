import { closeSync, openSync } from "node:fs";
import { SIGINT, SIGKILL } from "../sentry/abi/signal.ts";
import { RunningContainer } from "../sentry/container/lifecycle.ts";
import type { ContainerStore, HeldContainer } from "../sentry/container/store.ts";
import type { Attachment } from "../sentry/container/streams.ts";
import type { ConfinementLayer, SentryConstructor } from "../sentry/spec.ts";
import { explanation } from "./explanation.ts";
import { forwardSignals } from "./signals.ts";
import { UserTerminal } from "./user-terminal.ts";

/** So many SIGINTs, and the container is killed. Docker's client leaves then. */
const INTERRUPTS_MAX = 3;

/**
 * Runs a held container here: this process is its sentry, its descriptors or its terminal are the
 * container's, and signals sent to it go to the container.
 * @param options whether the container reads what is typed or piped in here, and whether to say at the end
 *   what has happened.
 * @returns the exit code of its first process, or docker's code for why there is none.
 */
export async function runInForeground(
  store: ContainerStore,
  held: HeldContainer,
  Sentry: SentryConstructor,
  { stdin, explain }: { readonly stdin: boolean; readonly explain: boolean },
): Promise<number> {
  // From the first moment on: a signal that comes while the container starts is its own, too, and none may end
  // this process while the terminal is raw.
  let running: RunningContainer | undefined;
  const early: number[] = [];
  let interrupts = 0;
  forwardSignals((signo) => {
    if (running === undefined) {
      early.push(signo);
      return;
    }
    // Pid 1 is deaf to signals it does not handle; nobody should have to look for another terminal.
    if (signo === SIGINT) interrupts += 1;
    if (interrupts === INTERRUPTS_MAX - 1) {
      process.stderr.write("ddcli: passed on; once more ends the container\n");
    }
    running.signal(interrupts >= INTERRUPTS_MAX ? SIGKILL : signo);
  });
  const terminal = held.record.tty ? UserTerminal.enter(stdin) : undefined;
  const nothing = stdin ? undefined : openSync("/dev/null", "r");
  const attachment: Attachment =
    terminal === undefined
      ? { kind: "descriptors", stdin: nothing ?? 0, stdout: 1, stderr: 2 }
      : { kind: "terminal", ...terminal.ends, size: terminal.size() };
  let layers: readonly ConfinementLayer[] = [];
  let startedMs = 0;
  return new Promise((resolve) => {
    const started = RunningContainer.start(
      store,
      held,
      Sentry,
      attachment,
      (line) => process.stderr.write(`${line}\n`),
      (status) => {
        terminal?.leave();
        if (explain) process.stderr.write(explanation(held.record, status, layers, startedMs));
        resolve(status.code);
      },
    );
    if (nothing !== undefined) closeSync(nothing);
    if (started instanceof RunningContainer) {
      running = started;
      startedMs = performance.now();
      layers = started.confinement();
      for (const signo of early) started.signal(signo);
      terminal?.onResize((size) => started.resize(size));
      return;
    }
    terminal?.leave();
    process.stderr.write(`ddcli: ${started.message}\n`);
    resolve(started.exitCode);
  });
}

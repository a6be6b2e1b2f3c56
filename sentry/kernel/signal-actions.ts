import {
  bit,
  defaultAction,
  SA_RESETHAND,
  SIG_DFL,
  SIG_IGN,
  SIGMAX,
  type SignalSet,
} from "../abi/signal.ts";

/** What a process does on a signal: `struct sigaction` as the kernel has it. See sigaction(2). */
export interface SignalAction {
  /** Address of the handler, SIG_DFL or SIG_IGN. */
  readonly handler: number;
  /** SA_* bits. */
  readonly flags: number;
  readonly restorer: number;
  /** Blocked while the handler runs. */
  readonly mask: SignalSet;
}

const DEFAULT: SignalAction = Object.freeze({ handler: SIG_DFL, flags: 0, restorer: 0, mask: 0n });

/** The signal dispositions that the threads of a process share. */
export class SignalActions {
  readonly #actions: SignalAction[] = new Array(SIGMAX + 1).fill(DEFAULT);

  get(signo: number): SignalAction {
    return this.#actions[signo] ?? DEFAULT;
  }

  set(signo: number, action: SignalAction): void {
    this.#actions[signo] = action;
  }

  /** Whether the signal would be dropped: ignored by request, or by default. */
  ignores(signo: number): boolean {
    const { handler } = this.get(signo);
    return handler === SIG_IGN || (handler === SIG_DFL && defaultAction(signo) === "ignore");
  }

  /** The signals that are explicitly ignored, and those that have a handler: what /proc/PID/status shows. */
  sets(): { readonly ignored: SignalSet; readonly caught: SignalSet } {
    let ignored = 0n;
    let caught = 0n;
    for (let signo = 1; signo <= SIGMAX; signo++) {
      const { handler } = this.get(signo);
      if (handler === SIG_IGN) ignored |= bit(signo);
      else if (handler !== SIG_DFL) caught |= bit(signo);
    }
    return { ignored, caught };
  }

  /** A handler is about to run: with SA_RESETHAND the action is the default from now on. */
  entered(signo: number): void {
    if (this.get(signo).flags & SA_RESETHAND) {
      this.#actions[signo] = { ...this.get(signo), handler: SIG_DFL };
    }
  }

  /** An independent copy, for fork. */
  copy(): SignalActions {
    const copy = new SignalActions();
    for (let signo = 1; signo <= SIGMAX; signo++) copy.set(signo, this.get(signo));
    return copy;
  }

  /** Handlers become defaults, as execve(2) wants it; ignored signals stay ignored. */
  resetHandlers(): void {
    for (let signo = 1; signo <= SIGMAX; signo++) {
      const { handler } = this.get(signo);
      this.#actions[signo] = handler === SIG_IGN ? { ...DEFAULT, handler: SIG_IGN } : DEFAULT;
    }
  }
}

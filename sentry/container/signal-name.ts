import { SIGMAX, SIGRTMIN, signalName } from "../abi/signal.ts";

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 31 }, (_, i) => [signalName(i + 1), i + 1]),
);
/** What the C library leaves: `RTMIN` of users is not the kernel's first real-time signal. */
const USER_RTMIN = SIGRTMIN + 2;

/** The number of a signal as people write it: `TERM`, `sigterm`, `15`, `RTMIN+3`; undefined for none. */
export function parseSignal(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return inRange(Number(text));
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const realTime = /^SIGRT(MIN\+|MAX-)(\d{1,2})$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[2]);
    const signo = realTime[1] === "MIN+" ? USER_RTMIN + offset : SIGMAX - offset;
    return signo >= USER_RTMIN ? inRange(signo) : undefined;
  }
  if (name === "SIGRTMIN") return USER_RTMIN;
  if (name === "SIGRTMAX") return SIGMAX;
  return NUMBERS.get(name);
}

function inRange(signo: number): number | undefined {
  return signo >= 1 && signo <= SIGMAX ? signo : undefined;
}

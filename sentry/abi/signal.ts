/** Signals: numbers, flags and default actions. Source: signal(7), `<asm/signal.h>`, `<asm-generic/siginfo.h>`. */

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGUSR2 = 12;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTKFLT = 16;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGURG = 23;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGWINCH = 28;
export const SIGIO = 29;
export const SIGPWR = 30;
export const SIGSYS = 31;
/** The first real-time signal as the kernel counts (the C library keeps two for itself). */
export const SIGRTMIN = 32;
/** The highest signal number, `_NSIG`. */
export const SIGMAX = 64;

const NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN " +
  "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** A signal's name, such as `SIGINT` or `SIGRT_3`. */
export function signalName(signo: number): string {
  const name = NAMES[signo - 1];
  return name === undefined ? `SIGRT_${signo - SIGRTMIN}` : `SIG${name}`;
}

/** A set of signals as the kernel keeps it: bit `signo - 1`. */
export type SignalSet = bigint;

const BITS: readonly bigint[] = Array.from({ length: SIGMAX + 1 }, (_, n) =>
  n === 0 ? 0n : 1n << BigInt(n - 1),
);

/** The set that holds only `signo` (1 to 64). */
export function bit(signo: number): SignalSet {
  return BITS[signo] ?? 0n;
}

/** The set of the given signals. */
export function signalSet(...signals: number[]): SignalSet {
  return signals.reduce((set, signo) => set | bit(signo), 0n);
}

/** Signals that can be neither caught, blocked nor ignored. */
export const UNBLOCKABLE: SignalSet = signalSet(SIGKILL, SIGSTOP);
/** Signals whose default action is to stop the process. */
export const STOP_SIGNALS: SignalSet = signalSet(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
/** Signals that the instruction being executed causes. They are delivered before others. */
export const SYNCHRONOUS: SignalSet = signalSet(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS);
const IGNORED_BY_DEFAULT = signalSet(SIGCHLD, SIGCONT, SIGURG, SIGWINCH);
const DUMPED_BY_DEFAULT = signalSet(
  SIGQUIT,
  SIGILL,
  SIGTRAP,
  SIGABRT,
  SIGBUS,
  SIGFPE,
  SIGSEGV,
  SIGXCPU,
  SIGXFSZ,
  SIGSYS,
);

/** What a signal does to a process that has not said otherwise. */
export type DefaultAction = "terminate" | "core" | "stop" | "ignore";

/** The default action of `signo`. (SIGCONT continues when it is sent, whatever its action is.) */
export function defaultAction(signo: number): DefaultAction {
  const set = bit(signo);
  if (set & IGNORED_BY_DEFAULT) return "ignore";
  if (set & STOP_SIGNALS) return "stop";
  return set & DUMPED_BY_DEFAULT ? "core" : "terminate";
}

/** Handlers of sigaction(2) that are not addresses. */
export const SIG_DFL = 0;
export const SIG_IGN = 1;

export const SA_NOCLDSTOP = 0x1;
export const SA_NOCLDWAIT = 0x2;
export const SA_SIGINFO = 0x4;
export const SA_RESTORER = 0x04000000;
export const SA_ONSTACK = 0x08000000;
export const SA_RESTART = 0x10000000;
export const SA_NODEFER = 0x40000000;
export const SA_RESETHAND = 0x80000000;

/** Values of `si_code`. */
export const SI_USER = 0;
export const SI_KERNEL = 0x80;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;
/** Values of `si_code` with SIGCHLD. */
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;

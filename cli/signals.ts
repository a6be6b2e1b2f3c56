import { constants } from "node:os";

/** Signals that are the container's when somebody sends them to its ddcli, as docker's `--sig-proxy`. */
const FORWARDED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
] as const;

/** From now on passes signals on instead of dying of them. */
export function forwardSignals(deliver: (signo: number) => void): void {
  for (const name of FORWARDED) process.on(name, () => deliver(constants.signals[name]));
}

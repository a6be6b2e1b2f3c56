import type { Isa } from "../abi/numbers.ts";
import type { Reactor } from "../host/reactor.ts";
import type { KernelEvents } from "../kernel/machine.ts";
import type { Translations } from "../translations/translations.ts";
import type { RingHub } from "./hub.ts";
import type { LauncherOptions } from "./launcher.ts";

/** What a machine is made of. */
export interface ExecutorMachineOptions {
  readonly hub: RingHub;
  /** What the container's programs are of: where that is not the host's, they are translated. */
  readonly guest: Isa;
  readonly reactor: Reactor;
  readonly events: KernelEvents;
  /** Where the guest's code is translated: what is kept of that. */
  readonly translations?: Translations;
  readonly log: (line: string) => void;
  /** Absent: trusted mode. */
  readonly confinement?: LauncherOptions["confinement"];
  /** Guest code may run in this very process; only asked in trusted mode. */
  readonly mayHost: boolean;
  /** Called with the launcher's host pid and what tells its program from others, before it has started any executor. */
  readonly launched: (pid: number, build: Uint8Array) => void;
  /** Called when a program has everything it needs and is about to run. */
  readonly entered?: (() => void) | undefined;
}

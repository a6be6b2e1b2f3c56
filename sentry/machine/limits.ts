/** What the host lets a container's executors use together: memory and processes. */
import { Errno } from "../abi/errno.ts";
import { setAffinity } from "../host/affinity.ts";
import { ControlGroup, type ControlGroupLimits } from "../host/control-group.ts";
import type { Reactor } from "../host/reactor.ts";
import { limitData } from "../host/rlimit.ts";
import type { ConfinementLayer, ContainerSpec, LimitsUpdate } from "../spec.ts";
import type { Freezer } from "./freezer.ts";
import { hostPrivateBytes, hostResidentBytes } from "./host-usage.ts";
import { Throttle } from "./throttle.ts";

/** Without a control group, how often to look how much memory there is in use. */
const LOOK_NS = 100_000_000n;
/** What a process may map beyond the container's limit: its stack, and memory it will never touch. */
const DATA_SLACK = 64 << 20;
/** Of the id, in the name of the group. */
const NAME_LENGTH = 12;
/** Tasks of the host that are none of the guest's: the launcher, and what a start takes. */
const TASKS_SLACK = 16;

/**
 * Tasks that the host must let a container have whose own limit is `pids`: a program that is executed begins
 * in a new process while the old one is still ending.
 */
export function hostTasks(pids: number): number {
  return 2 * pids + TASKS_SLACK;
}

/** Whose memory there is to look at, where no control group does. */
export interface Members {
  /** Host pids of all executors. */
  pids(): Iterable<number>;
  killPid(pid: number): void;
}

/** The limits of one container that its own kernel cannot enforce, because memory is the host's. */
export class HostLimits {
  /** What limits the container, for the user; empty when there are no limits. */
  readonly layers: readonly ConfinementLayer[];
  #memoryBytes: number | undefined;
  /** Guest code may not run in the sentry's own process: something is limited that could not be told apart. */
  readonly #apart: boolean;
  readonly #cpuset: readonly number[] | undefined;
  readonly #throttled: number | undefined;
  #throttle: Throttle | undefined;
  #makeThrottle: ((cpus: number) => Throttle) | undefined;
  readonly #group: ControlGroup | undefined;
  /** Processes killed for memory by us, where the host does not. */
  #killed = 0;
  #closed = false;

  /**
   * @param log hears, as docker's users do, of limits that are not what they should be.
   */
  constructor(spec: Pick<ContainerSpec, "id" | "mode" | "limits">, log: (line: string) => void) {
    const { memoryBytes, pids, cpus, cpuset } = spec.limits;
    this.#memoryBytes = memoryBytes;
    this.#apart =
      spec.mode === "untrusted" ||
      memoryBytes !== undefined ||
      cpus !== undefined ||
      cpuset !== undefined;
    this.#cpuset = cpuset;
    const name = spec.id.slice(0, NAME_LENGTH);
    const wanted = groupLimits(spec);
    // A trusted container without a limit of what it uses has threads in the sentry's own process.
    const needed = memoryBytes !== undefined || (pids !== undefined && spec.mode === "untrusted");
    const whole = needed || cpus !== undefined ? ControlGroup.create(name, wanted) : undefined;
    // Where the host delegates memory but no CPU time, that is half of it.
    const { cpus: _, ...rest } = wanted;
    const halved = whole instanceof Errno && needed && cpus !== undefined;
    const group = halved ? ControlGroup.create(name, rest) : whole;
    this.#group = group instanceof Errno ? undefined : group;
    this.#throttled = cpus !== undefined && whole instanceof Errno ? cpus : undefined;
    this.layers = [
      ...(group === undefined ? [] : [describe({ limits: spec.limits }, group)]),
      ...(this.#throttled === undefined ? [] : [THROTTLE]),
    ];
    if (group instanceof Errno && memoryBytes !== undefined) {
      log(`WARNING: ${describe(spec, group).detail}`);
    }
  }

  /** Starts what holds the container to its CPUs where no control group does. @param usedNs CPU time so far. */
  throttle(reactor: Reactor, freezer: Freezer, usedNs: () => bigint): void {
    this.#makeThrottle = (cpus) => new Throttle(reactor, freezer, cpus, usedNs);
    if (this.#throttled !== undefined) this.#throttle = this.#makeThrottle(this.#throttled);
  }

  /**
   * Changes limits while the container runs.
   * @returns which of them will only hold from its next start on, in a sentence each.
   */
  update({ memoryBytes, pids, cpus }: LimitsUpdate): readonly string[] {
    const late: string[] = [];
    if (memoryBytes !== undefined) {
      const set = this.#group?.update({ memoryBytes });
      if (this.#group === undefined ? this.#memoryBytes === undefined : set !== undefined) {
        late.push("The memory limit holds from the next start on");
      } else this.#memoryBytes = memoryBytes;
    }
    // The container's own kernel counts its tasks; the host's limit is a second line.
    if (pids !== undefined) this.#group?.update({ processes: hostTasks(pids) });
    if (cpus !== undefined && this.#group?.update({ cpus }) !== undefined) this.#setThrottle(cpus);
    else if (cpus !== undefined && this.#group === undefined) {
      if (this.#apart) this.#setThrottle(cpus);
      else late.push("The CPU limit holds from the next start on");
    }
    return late;
  }

  #setThrottle(cpus: number): void {
    if (this.#throttle !== undefined) this.#throttle.cpus = cpus;
    else this.#throttle = this.#makeThrottle?.(cpus);
  }

  /** Whether guest code may run in the sentry's own process: what cannot be limited apart from it may not. */
  get mayHost(): boolean {
    return !this.#apart;
  }

  /** What each process may have where no control group limits their sum, in bytes. */
  get processBytes(): number | undefined {
    if (this.#group !== undefined || this.#memoryBytes === undefined) return undefined;
    return this.#memoryBytes + DATA_SLACK;
  }

  /** Limits the launcher, and with it every executor. Before it is asked for any. */
  apply(launcher: number): void {
    const error =
      this.#group !== undefined
        ? this.#group.add(launcher)
        : this.processBytes === undefined
          ? undefined
          : limitData(launcher, this.processBytes);
    const bound = this.#cpuset === undefined ? undefined : setAffinity(launcher, this.#cpuset);
    const failed = error ?? bound;
    if (failed !== undefined) throw new Error(`Limiting the container: ${failed.text}`);
  }

  /** Where no control group does, looks at the memory of all and kills the largest when it is too much. */
  watch(reactor: Reactor, members: Members): void {
    if (this.#group !== undefined || this.#memoryBytes === undefined) return;
    const look = () => {
      if (this.#closed) return;
      this.#look(members);
      reactor.at(reactor.now() + LOOK_NS, look);
    };
    look();
  }

  /** Whether a process of the container has been killed because there was no memory left. */
  get oomKilled(): boolean {
    return this.#killed > 0 || (this.#group?.oomKills() ?? 0) > 0;
  }

  /** Memory the container uses in bytes: what a control group counts, or what its executors have resident. */
  memoryBytes(members: Members): number {
    const counted = this.#group?.memoryBytes();
    return counted ?? [...members.pids()].reduce((sum, pid) => sum + hostResidentBytes(pid), 0);
  }

  /** The container has ended. Once. */
  close(): void {
    this.#closed = true;
    this.#throttle?.close();
    this.#group?.remove();
  }

  #look(members: Members): void {
    let sum = 0;
    let most = 0;
    let largest: number | undefined;
    for (const pid of members.pids()) {
      const bytes = hostPrivateBytes(pid);
      sum += bytes;
      if (bytes > most) {
        most = bytes;
        largest = pid;
      }
    }
    if (largest === undefined || sum <= (this.#memoryBytes ?? Number.POSITIVE_INFINITY)) return;
    this.#killed++;
    members.killPid(largest);
  }
}

const THROTTLE: ConfinementLayer = {
  name: "CPU limit",
  active: true,
  detail:
    "No control group for it: processes are stopped while they are ahead, looked at 100 times a second",
};

function groupLimits({ limits }: Pick<ContainerSpec, "limits">): ControlGroupLimits {
  const { memoryBytes, pids, cpus } = limits;
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(pids === undefined ? {} : { processes: hostTasks(pids) }),
  };
}

function describe(
  spec: Pick<ContainerSpec, "limits">,
  group: ControlGroup | Errno,
): ConfinementLayer {
  const { memoryBytes, processes, cpus } = groupLimits(spec);
  const parts = [
    ...(cpus === undefined ? [] : [`${cpus} CPUs`]),
    ...(memoryBytes === undefined ? [] : [`${memoryBytes} bytes of memory`]),
    ...(processes === undefined ? [] : [`${processes} tasks of the host`]),
  ];
  const name = "control group";
  if (group instanceof ControlGroup) return { name, active: true, detail: parts.join(", ") };
  const instead =
    memoryBytes === undefined
      ? "the container's own kernel counts its tasks"
      : "each process is limited, and their sum is checked ten times a second";
  return {
    name,
    active: false,
    detail: `No control group can be made (${group.text}): ${instead}`,
  };
}

import type { Isa } from "../../sentry/abi/numbers.ts";
import {
  DESCRIPTOR_WINDOW,
  NAMESPACE_FLAGS,
  NOTIFY_CALL,
  RESOURCE_NUMBERS,
  SPECULATION_NUMBERS,
} from "../constants.ts";
import type { Barrier, Profile, Resource } from "../model.ts";
import { executorProfile } from "../profiles.ts";
import type { Instruction } from "./bpf.ts";
import { type LandlockRuleset, landlockRuleset } from "./landlock.ts";
import {
  type AddressRange,
  type ExecutorFilter,
  executorFilter,
  notifyFilter,
  numberOf,
} from "./seccomp.ts";

/** What differs from container to container. */
export interface ConfinementParameters {
  readonly isa: Isa;
  /**
   * Where the runtime's only system call instructions lie. The launcher puts its own address in
   * (`PlaceStub`), because only it knows where it was loaded; absent, any address stands in.
   */
  readonly stub?: AddressRange;
  /**
   * The host user and group that guest root is: a distinct unprivileged id per container when the
   * sentry is root, the user's own ids otherwise.
   */
  readonly hostUid: number;
  readonly hostGid: number;
  /** The most threads and processes, host view: the guest's limit and the launcher. */
  readonly processes: number;
  /**
   * The most writable private memory of each process, in bytes: for a container with a limit that no
   * control group can hold. Absent: not limited.
   */
  readonly memoryBytes?: number;
}

/** All that the launcher and the executors need to confine themselves on Linux. */
export interface Confinement {
  readonly hostUid: number;
  readonly hostGid: number;
  /** Clone flags of the user and the mount namespace, which are made first. */
  readonly outerNamespaces: number;
  /** Clone flags of the others, which the launcher makes. */
  readonly innerNamespaces: number;
  readonly limits: readonly { readonly resource: Resource; readonly value: number }[];
  readonly landlock: LandlockRuleset;
  /** Numbers of the `PR_SET_SPECULATION_CTRL` controls to disable for good. */
  readonly speculation: readonly number[];
  readonly window: { readonly first: number; readonly last: number };
  readonly notifyCall: number;
  readonly notifyFilter: readonly Instruction[];
  readonly executorFilter: ExecutorFilter;
}

const UNPRIVILEGED_ID_MAX = 0xfffffffe;
/** The launcher and one executor. */
const PROCESSES_MIN = 2;
const PROCESSES_MAX = 4_194_304;
/** The runtime itself needs some of it. */
const MEMORY_BYTES_MIN = 1 << 20;
const ANY_STUB: AddressRange = { start: 0x1000n, end: 0x2000n };

/**
 * The confinement of one container's executors.
 * @throws RangeError when a parameter could only weaken it: host id 0, an empty stub range.
 */
export function executorConfinement(parameters: ConfinementParameters): Confinement {
  const { isa, stub = ANY_STUB, hostUid, hostGid, processes, memoryBytes } = parameters;
  checkRange("Host user id", hostUid, 1, UNPRIVILEGED_ID_MAX);
  checkRange("Host group id", hostGid, 1, UNPRIVILEGED_ID_MAX);
  checkRange("Process limit", processes, PROCESSES_MIN, PROCESSES_MAX);
  if (memoryBytes !== undefined) {
    checkRange("Memory limit", memoryBytes, MEMORY_BYTES_MIN, Number.MAX_SAFE_INTEGER);
  }
  const given = { processes, memory: memoryBytes };
  const { barriers } = executorProfile;
  const namespaces = ofKind(barriers, "namespace").map((barrier) => barrier.namespace);
  const outer = namespaces.filter((name) => name === "user" || name === "mount");
  const inner = namespaces.filter((name) => name !== "user" && name !== "mount");
  const flags = (names: readonly (keyof typeof NAMESPACE_FLAGS)[]): number =>
    names.reduce((all, name) => (all | NAMESPACE_FLAGS[name]) >>> 0, 0);
  return {
    hostUid,
    hostGid,
    outerNamespaces: flags(outer),
    innerNamespaces: flags(inner),
    limits: ofKind(barriers, "limit").flatMap(({ resource, value }) => {
      const limit = typeof value === "number" ? value : given[value];
      return limit === undefined ? [] : [{ resource, value: limit }];
    }),
    landlock: profileRuleset(executorProfile),
    speculation: ofKind(barriers, "speculation").map(({ control }) => SPECULATION_NUMBERS[control]),
    window: DESCRIPTOR_WINDOW,
    notifyCall: numberOf(NOTIFY_CALL, isa),
    notifyFilter: notifyFilter(isa),
    executorFilter: executorFilter(executorProfile, isa, stub),
  };
}

/** The Landlock ruleset of a profile. @throws Error when it has none. */
export function profileRuleset(profile: Profile): LandlockRuleset {
  const [barrier] = ofKind(profile.barriers, "landlock");
  if (barrier === undefined) throw new Error(`The ${profile.name} profile has no Landlock barrier`);
  return landlockRuleset(barrier);
}

/** The barriers of one kind, in order. */
export function ofKind<Kind extends Barrier["kind"]>(
  barriers: readonly Barrier[],
  kind: Kind,
): readonly (Barrier & { kind: Kind })[] {
  return barriers.filter((barrier): barrier is Barrier & { kind: Kind } => barrier.kind === kind);
}

/** The number of a resource, as setrlimit(2) takes it. */
export function resourceNumber(resource: Resource): number {
  return RESOURCE_NUMBERS[resource];
}

function checkRange(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${what} must be between ${min} and ${max}`);
  }
}

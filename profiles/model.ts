import type { SyscallName } from "../sentry/abi/numbers.ts";

/**
 * What a profile is: everything is denied, and each exception is a {@link Rule} with its reason. The
 * same rule says what it allows on Linux (host system calls), on macOS (Seatbelt operations) and on
 * both (paths). {@link Barrier}s take away what a rule cannot express: namespaces, limits, rights.
 */
export interface Profile {
  readonly name: "executor" | "sentry";
  /** Whom the profile confines, for people. */
  readonly title: string;
  readonly rules: readonly Rule[];
  readonly barriers: readonly Barrier[];
}

/** One exception to the denial of everything. */
export interface Rule {
  /** Unique in its profile, kebab-case. */
  readonly name: string;
  /** Why the confined process needs it, and why it is harmless in hostile hands. */
  readonly why: string;
  /** Linux: the host system calls allowed; several patterns for one call are alternatives. */
  readonly calls?: readonly CallPattern[];
  /** macOS: the Seatbelt operations allowed. */
  readonly operations?: readonly Operation[];
  /** Both: the parts of the host's file tree that may be opened. */
  readonly paths?: readonly PathGrant[];
}

/** A host system call, and what its arguments must look like: all conditions must hold. */
export interface CallPattern {
  readonly call: SyscallName;
  readonly when: readonly Condition[];
}

/** A register argument of a system call as its C prototype declares it. */
export interface Argument {
  /** 0 to 5. */
  readonly index: number;
  readonly name: string;
  /** `int`: the kernel ignores the upper half of the register; `long`: it must be zero. */
  readonly width: "int" | "long";
}

/** A test of one argument; values and masks are unsigned 32-bit. */
export type Condition =
  /** The argument, without the bits of `ignore`, is one of `values`. */
  | {
      readonly kind: "one-of";
      readonly argument: Argument;
      readonly values: readonly Named[];
      readonly ignore: readonly Named[];
    }
  /** The argument has no bit outside `bits`. */
  | { readonly kind: "only"; readonly argument: Argument; readonly bits: readonly Named[] }
  /** The argument has every bit of `bits`. */
  | { readonly kind: "has"; readonly argument: Argument; readonly bits: readonly Named[] }
  /** `first <= argument <= last`. */
  | {
      readonly kind: "between";
      readonly argument: Argument;
      readonly first: number;
      readonly last: number;
    };

/** A constant with the name that Linux gives it. */
export interface Named {
  readonly name: string;
  readonly value: number;
}

/** A Seatbelt operation; without `filter` it is allowed on every object. */
export interface Operation {
  readonly name: string;
  readonly filter?: readonly [name: string, ...values: readonly SeatbeltValue[]];
}

/** A literal word (a symbol such as `self`), or a string. */
export type SeatbeltValue = { readonly symbol: string } | { readonly text: string };

export type Access = "read" | "execute" | "write";

/** A host path given by a parameter when the profile is generated, with all that is beneath it. */
export interface PathGrant {
  readonly parameter: PathParameter;
  readonly access: readonly Access[];
}

/** The kinds of host path that a profile can speak of; each stands for zero or more paths. */
export type PathParameter =
  | "install"
  | "program"
  | "store"
  | "run"
  | "read-only"
  | "read-write"
  | "system"
  | "kernel-state"
  | "terminals"
  | "cgroup";

/** Something taken away from the confined process on Linux, in the order of application. */
export type Barrier =
  | { readonly kind: "namespace"; readonly namespace: Namespace; readonly why: string }
  | { readonly kind: "root"; readonly why: string }
  | {
      readonly kind: "limit";
      readonly resource: Resource;
      /** Both the soft and the hard limit; a parameter's name when given at start. */
      readonly value: number | "processes" | "memory";
      readonly why: string;
    }
  /** All but those kept. */
  | {
      readonly kind: "capabilities";
      readonly keep: readonly Capability[];
      readonly why: string;
    }
  | { readonly kind: "no-new-privileges"; readonly why: string }
  | {
      readonly kind: "landlock";
      /** The oldest Landlock ABI that can express the barrier. */
      readonly abi: number;
      readonly filesystem: boolean;
      readonly network: boolean;
      readonly scoped: boolean;
      readonly why: string;
    }
  | { readonly kind: "speculation"; readonly control: SpeculationControl; readonly why: string }
  | { readonly kind: "seccomp"; readonly why: string };

export type Namespace = "user" | "mount" | "pid" | "network" | "ipc" | "uts" | "cgroup";
export type SpeculationControl = "store-bypass" | "indirect-branch";
export type Capability =
  | "CHOWN"
  | "DAC_OVERRIDE"
  | "FOWNER"
  | "FSETID"
  | "NET_BIND_SERVICE"
  | "SETGID";
export type Resource =
  | "CORE"
  | "DATA"
  | "FSIZE"
  | "MEMLOCK"
  | "MSGQUEUE"
  | "NICE"
  | "NOFILE"
  | "NPROC"
  | "RTPRIO";

/** An `int` argument. */
export function int(index: number, name: string): Argument {
  return { index, name, width: "int" };
}

/** An argument as wide as a register. */
export function long(index: number, name: string): Argument {
  return { index, name, width: "long" };
}

/** The argument is one of `values` once the bits of `ignore` are cleared. */
export function isOneOf(
  argument: Argument,
  values: readonly Named[],
  ignore: readonly Named[] = [],
): Condition {
  return { kind: "one-of", argument, values, ignore };
}

/** The argument has no other bits than these. */
export function hasOnly(argument: Argument, bits: readonly Named[]): Condition {
  return { kind: "only", argument, bits };
}

/** The argument has all of these bits. */
export function has(argument: Argument, bits: readonly Named[]): Condition {
  return { kind: "has", argument, bits };
}

/** The argument lies in a range, ends included. */
export function isBetween(argument: Argument, first: number, last: number): Condition {
  return { kind: "between", argument, first, last };
}

/** The union of some named bits, unsigned. */
export function union(bits: readonly Named[]): number {
  return bits.reduce((all, bit) => (all | bit.value) >>> 0, 0);
}

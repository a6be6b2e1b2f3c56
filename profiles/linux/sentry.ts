import type { ByteString } from "../../sentry/abi/bytes.ts";
import { CAPABILITY_BITS } from "../constants.ts";
import { grantedPaths, type PathValues } from "../paths.ts";
import { sentryProfile } from "../profiles.ts";
import { ofKind, profileRuleset } from "./confinement.ts";
import { type LandlockRuleset, landlockRights } from "./landlock.ts";

/** The sentry's own confinement on Linux: few capabilities, no_new_privs and a Landlock domain. */
export interface SentryConfinement {
  /** Bit n: capability n is kept, if it is held at all. */
  readonly capabilities: number;
  readonly ruleset: LandlockRuleset;
  readonly grants: readonly LandlockGrant[];
}

/** The rights on a path: which ones depends on what stands there. */
export interface LandlockGrant {
  readonly path: ByteString;
  /** `LANDLOCK_ACCESS_FS_*` when it is a directory, for all beneath it. */
  readonly directoryRights: number;
  /** The same when it is anything else. */
  readonly fileRights: number;
}

/**
 * What every sentry needs of a Linux system, all of it world-readable; what does not exist is left out.
 * A sentry in a Landlock domain and without CAP_PERFMON can look into the memory and environment of its
 * own executors only, whatever it may read below /proc.
 */
const SYSTEM_PATHS: PathValues = {
  system: [
    "/dev/random",
    "/dev/urandom",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/lib",
    "/lib64",
    "/sys/devices/system/cpu",
    "/usr/lib",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
  ],
  "kernel-state": ["/proc"],
  // The null device is what a started program gets for its standard streams.
  terminals: ["/dev/null", "/dev/ptmx", "/dev/pts", "/dev/tty"],
};

/**
 * What the sentry of one container may still open: the given paths, and what every sentry needs of the
 * system.
 * @throws PathRefused when a path is not absolute and canonical.
 */
export function sentryConfinement(values: PathValues): SentryConfinement {
  return {
    capabilities: ofKind(sentryProfile.barriers, "capabilities")
      .flatMap(({ keep }) => keep)
      .reduce((all, name) => all | (1 << CAPABILITY_BITS[name]), 0),
    ruleset: profileRuleset(sentryProfile),
    grants: grantedPaths(sentryProfile, withSystemPaths(values)).map(({ path, access }) => ({
      path,
      directoryRights: landlockRights(access, "directory"),
      fileRights: landlockRights(access, "file"),
    })),
  };
}

function withSystemPaths(values: PathValues): PathValues {
  const merged: { -readonly [Parameter in keyof PathValues]: PathValues[Parameter] } = {
    ...values,
  };
  for (const parameter of ["system", "kernel-state", "terminals"] as const) {
    merged[parameter] = [...(SYSTEM_PATHS[parameter] ?? []), ...(values[parameter] ?? [])];
  }
  return merged;
}

/** `struct landlock_ruleset_attr` as of ABI 6. */
export function encodeRuleset(ruleset: LandlockRuleset): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(ruleset.handledFilesystem), true);
  view.setBigUint64(8, BigInt(ruleset.handledNetwork), true);
  view.setBigUint64(16, BigInt(ruleset.scoped), true);
  return bytes;
}

/** `struct landlock_path_beneath_attr` (packed): the rights on what `fd` refers to. */
export function encodePathRule(rights: number, fd: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(rights), true);
  view.setInt32(8, fd, true);
  return bytes;
}

import type { ByteString } from "../../sentry/abi/bytes.ts";
import { grantedPaths, type PathValues } from "../paths.ts";
import { sentryProfile } from "../profiles.ts";
import { profileRuleset } from "./confinement.ts";
import { type LandlockRuleset, landlockRights } from "./landlock.ts";

/** The sentry's own confinement on Linux: no_new_privs and a Landlock domain. */
export interface SentryConfinement {
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
 * What the sentry of one container may still open.
 * @throws PathRefused when a path is not absolute and canonical.
 */
export function sentryConfinement(values: PathValues): SentryConfinement {
  return {
    ruleset: profileRuleset(sentryProfile),
    grants: grantedPaths(sentryProfile, values).map(({ path, access }) => ({
      path,
      directoryRights: landlockRights(access, "directory"),
      fileRights: landlockRights(access, "file"),
    })),
  };
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

import {
  CAP_LAST,
  type Credentials,
  DEFAULT_CAPABILITIES,
  ROOT_CREDENTIALS,
} from "../vfs/credentials.ts";

/** All capabilities that Linux has. */
export const ALL_CAPABILITIES: bigint = (1n << BigInt(CAP_LAST + 1)) - 1n;

/** A task's whole identity: credentials(7), and the capability sets beside the effective one. */
export interface TaskCredentials extends Credentials {
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  /** SECBIT_* bits; see capabilities(7). */
  readonly securebits: number;
}

/** SECBIT_KEEP_CAPS. */
export const SECBIT_KEEP_CAPS = 1 << 4;
/** SECBIT_NO_SETUID_FIXUP. */
export const SECBIT_NO_SETUID_FIXUP = 1 << 2;
/** SECBIT_NOROOT. */
export const SECBIT_NOROOT = 1 << 0;

/** What a process started from outside gets: like docker's, a full set for root and none for others. */
export function initialCredentials(
  uid: number,
  gid: number,
  groups: readonly number[],
  bounding: bigint = DEFAULT_CAPABILITIES,
): TaskCredentials {
  const granted = uid === 0 ? bounding : 0n;
  return {
    ...ROOT_CREDENTIALS,
    ruid: uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    rgid: gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups: [...groups],
    capabilities: granted,
    permitted: granted,
    inheritable: 0n,
    bounding,
    ambient: 0n,
    securebits: 0,
  };
}

// The capabilities that file access needs: they follow the file system user id. See setfsuid(2).
const FILE_SYSTEM_CAPABILITIES = 0x1_0800_021fn;

/**
 * The capabilities after a change of user ids, as capabilities(7) lays down under "Effect of user ID changes".
 * @param after has the new ids and still the old capabilities.
 */
export function afterUidChange(before: TaskCredentials, after: TaskCredentials): TaskCredentials {
  if (before.securebits & SECBIT_NO_SETUID_FIXUP) return after;
  let { capabilities, permitted, ambient } = after;
  const wasRoot = before.ruid === 0 || before.euid === 0 || before.suid === 0;
  const isRoot = after.ruid === 0 || after.euid === 0 || after.suid === 0;
  if (wasRoot && !isRoot) {
    if ((before.securebits & SECBIT_KEEP_CAPS) === 0) {
      permitted = 0n;
      capabilities = 0n;
    }
    ambient = 0n;
  }
  if (before.euid === 0 && after.euid !== 0) capabilities = 0n;
  if (before.euid !== 0 && after.euid === 0) capabilities = permitted;
  return { ...after, capabilities, permitted, ambient };
}

/** The capabilities after setfsuid(2). */
export function afterFsuidChange(before: TaskCredentials, after: TaskCredentials): TaskCredentials {
  if (before.securebits & SECBIT_NO_SETUID_FIXUP) return after;
  let { capabilities } = after;
  if (before.fsuid === 0 && after.fsuid !== 0) capabilities &= ~FILE_SYSTEM_CAPABILITIES;
  if (before.fsuid !== 0 && after.fsuid === 0) {
    capabilities |= after.permitted & FILE_SYSTEM_CAPABILITIES;
  }
  return { ...after, capabilities };
}

/** What of the program file changes who runs it. */
export interface Privileged {
  /** The file's owner when its setuid bit counts. */
  readonly setuid: number | undefined;
  /** The file's group when its setgid bit counts. */
  readonly setgid: number | undefined;
}

/**
 * The credentials a program runs with; capabilities(7), "Transformation of capabilities during execve()".
 * File capabilities (`security.capability`) are not honoured.
 * @returns also whether the program is to distrust its environment: AT_SECURE.
 */
export function afterExec(
  before: TaskCredentials,
  file: Privileged,
): { readonly credentials: TaskCredentials; readonly secure: boolean } {
  const euid = file.setuid ?? before.euid;
  const egid = file.setgid ?? before.egid;
  const changed = euid !== before.euid || egid !== before.egid;
  const ambient = changed ? 0n : before.ambient;
  let permitted = ambient;
  let effective = ambient;
  const rootCounts = (before.securebits & SECBIT_NOROOT) === 0;
  if (rootCounts && (euid === 0 || before.ruid === 0)) {
    permitted = before.inheritable | before.bounding;
    if (euid === 0) effective = permitted;
  }
  return {
    credentials: {
      ...before,
      euid,
      suid: euid,
      fsuid: euid,
      egid,
      sgid: egid,
      fsgid: egid,
      permitted,
      ambient,
      capabilities: effective,
      securebits: before.securebits & ~SECBIT_KEEP_CAPS,
    },
    secure:
      euid !== before.ruid || egid !== before.rgid || (before.ruid !== 0 && permitted !== ambient),
  };
}

/** Who asks, and what that allows: credentials(7) and capabilities(7). */
import { S_IFDIR, S_IFMT } from "../abi/file.ts";

export const CAP_CHOWN = 0;
export const CAP_DAC_OVERRIDE = 1;
export const CAP_DAC_READ_SEARCH = 2;
export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_KILL = 5;
export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const CAP_SETPCAP = 8;
export const CAP_LINUX_IMMUTABLE = 9;
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;
export const CAP_IPC_LOCK = 14;
export const CAP_IPC_OWNER = 15;
export const CAP_SYS_CHROOT = 18;
export const CAP_SYS_PTRACE = 19;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_NICE = 23;
export const CAP_SYS_RESOURCE = 24;
export const CAP_SYS_TIME = 25;
export const CAP_MKNOD = 27;
export const CAP_AUDIT_WRITE = 29;
export const CAP_SETFCAP = 31;
/** The highest capability: CAP_CHECKPOINT_RESTORE. */
export const CAP_LAST = 40;

/** The mask with the bits of `capabilities` set. */
export function capabilityMask(...capabilities: readonly number[]): bigint {
  let mask = 0n;
  for (const capability of capabilities) mask |= 1n << BigInt(capability);
  return mask;
}

/** What a container's root may do: docker's default list, of which CAP_SYS_ADMIN is no member. */
export const DEFAULT_CAPABILITIES: bigint = capabilityMask(
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_FSETID,
  CAP_FOWNER,
  CAP_MKNOD,
  CAP_NET_RAW,
  CAP_SETGID,
  CAP_SETUID,
  CAP_SETFCAP,
  CAP_SETPCAP,
  CAP_NET_BIND_SERVICE,
  CAP_SYS_CHROOT,
  CAP_KILL,
  CAP_AUDIT_WRITE,
);

/** A task's identity. Immutable: a change makes a new object, so that open files can keep the old one. */
export interface Credentials {
  readonly ruid: number;
  readonly euid: number;
  readonly suid: number;
  /** The user for file access; follows `euid`. */
  readonly fsuid: number;
  readonly rgid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** The effective capabilities, bit n for capability n. */
  readonly capabilities: bigint;
}

/** The credentials of a container's root. */
export const ROOT_CREDENTIALS: Credentials = Object.freeze({
  ruid: 0,
  euid: 0,
  suid: 0,
  fsuid: 0,
  rgid: 0,
  egid: 0,
  sgid: 0,
  fsgid: 0,
  groups: Object.freeze([]),
  capabilities: DEFAULT_CAPABILITIES,
});

export function isCapable(credentials: Credentials, capability: number): boolean {
  return ((credentials.capabilities >> BigInt(capability)) & 1n) !== 0n;
}

export function inGroup(credentials: Credentials, gid: number): boolean {
  return credentials.fsgid === gid || credentials.groups.includes(gid);
}

/** Wanted access, as in access(2): combine with `|`. */
export const MAY_READ = 4;
export const MAY_WRITE = 2;
export const MAY_EXEC = 1;

/** What of an inode decides about access. */
export interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Whether mode bits, or a capability that overrides them, grant every bit of `wanted`. See path_resolution(7). */
export function mayAccess(credentials: Credentials, inode: Owned, wanted: number): boolean {
  const { mode } = inode;
  let granted: number;
  if (credentials.fsuid === inode.uid) granted = mode >>> 6;
  else if (((mode >>> 3) & 7) === (mode & 7) || !inGroup(credentials, inode.gid)) granted = mode;
  else granted = mode >>> 3;
  if ((wanted & ~granted & 7) === 0) return true;

  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  if (isCapable(credentials, CAP_DAC_OVERRIDE)) {
    // Execution of a file needs at least one execute bit, even for root.
    return isDirectory || (wanted & MAY_EXEC) === 0 || (mode & 0o111) !== 0;
  }
  if (isCapable(credentials, CAP_DAC_READ_SEARCH)) {
    return wanted === MAY_READ || (isDirectory && (wanted & MAY_WRITE) === 0);
  }
  return false;
}

/** Whether the caller may do what only a file's owner may. See CAP_FOWNER in capabilities(7). */
export function ownsOrCapable(credentials: Credentials, inode: Owned): boolean {
  return credentials.fsuid === inode.uid || isCapable(credentials, CAP_FOWNER);
}

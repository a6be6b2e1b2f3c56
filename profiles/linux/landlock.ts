import type { Access, Barrier } from "../model.ts";

/** Landlock rights on files, by bit (`LANDLOCK_ACCESS_FS_*`, landlock(7)). */
const FS = {
  EXECUTE: 1 << 0,
  WRITE_FILE: 1 << 1,
  READ_FILE: 1 << 2,
  READ_DIR: 1 << 3,
  REMOVE_DIR: 1 << 4,
  REMOVE_FILE: 1 << 5,
  MAKE_CHAR: 1 << 6,
  MAKE_DIR: 1 << 7,
  MAKE_REG: 1 << 8,
  MAKE_SOCK: 1 << 9,
  MAKE_FIFO: 1 << 10,
  MAKE_BLOCK: 1 << 11,
  MAKE_SYM: 1 << 12,
  REFER: 1 << 13,
  TRUNCATE: 1 << 14,
  IOCTL_DEV: 1 << 15,
} as const;

/** The rights that mean something for an object that is no directory. */
const FILE_RIGHTS = FS.EXECUTE | FS.WRITE_FILE | FS.READ_FILE | FS.TRUNCATE | FS.IOCTL_DEV;

const RIGHTS: Readonly<Record<Access, number>> = {
  read: FS.READ_FILE | FS.READ_DIR,
  execute: FS.EXECUTE,
  // Device nodes are never made: no right to them is in any profile.
  write:
    FS.WRITE_FILE |
    FS.TRUNCATE |
    FS.REMOVE_DIR |
    FS.REMOVE_FILE |
    FS.MAKE_DIR |
    FS.MAKE_REG |
    FS.MAKE_SOCK |
    FS.MAKE_FIFO |
    FS.MAKE_SYM |
    FS.REFER |
    FS.IOCTL_DEV,
};

/** `struct landlock_ruleset_attr`: what is denied unless a rule allows it. */
export interface LandlockRuleset {
  /** The oldest ABI that knows all of it; an older kernel means refusal. */
  readonly abi: number;
  readonly handledFilesystem: number;
  readonly handledNetwork: number;
  readonly scoped: number;
}

/** The ruleset of a Landlock barrier. */
export function landlockRuleset(barrier: Barrier & { kind: "landlock" }): LandlockRuleset {
  return {
    abi: barrier.abi,
    handledFilesystem: barrier.filesystem ? 0xffff : 0,
    // Bind and connect, TCP.
    handledNetwork: barrier.network ? 0b11 : 0,
    // Abstract unix sockets and signals.
    scoped: barrier.scoped ? 0b11 : 0,
  };
}

/** The rights to give on a path: for a directory and all beneath it, or for a single file. */
export function landlockRights(access: readonly Access[], object: "directory" | "file"): number {
  const rights = access.reduce((all, one) => all | RIGHTS[one], 0);
  return object === "directory" ? rights : rights & FILE_RIGHTS;
}

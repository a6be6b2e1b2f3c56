import { makeDev } from "../abi/file.ts";
import type { Stat } from "./inode.ts";

/** Who owns an object without a name: its creator. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Device numbers of the internal file systems that objects without a name live on. */
export const PIPEFS: number = makeDev(0, 13);
export const SOCKFS: number = makeDev(0, 8);
export const ANON_INODEFS: number = makeDev(0, 14);

const BLOCK = 4096;
let lastIno = 1000;

/** A number no other object without a name has. */
export function anonymousIno(): number {
  return ++lastIno;
}

/** What stat(2) tells of an object without a name. @param mode type and permission bits. */
export function anonymousStat(dev: number, ino: number, mode: number, owner: Owner): Stat {
  const now = BigInt(Date.now()) * 1_000_000n;
  return {
    dev,
    ino,
    mode,
    nlink: 1,
    uid: owner.uid,
    gid: owner.gid,
    rdev: 0,
    size: 0,
    blksize: BLOCK,
    blocks: 0,
    atimeNs: now,
    mtimeNs: now,
    ctimeNs: now,
    btimeNs: now,
  };
}

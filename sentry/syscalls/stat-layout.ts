/** What stat(2) and statx(2) write: one meaning, a layout per instruction set. */

import type { Errno } from "../abi/errno.ts";
import { majorOf, minorOf } from "../abi/file.ts";
import type { Isa } from "../abi/numbers.ts";
import { StatArm64, StatX86, Statx } from "../abi/structs.ts";
import type { Stat } from "../vfs/inode.ts";
import type { Arg } from "./define.ts";

const SECOND_NS = 1_000_000_000n;
const WORD = 4294967296;

/** Where a guest wants its `struct stat`: takes the encoded bytes. */
export type StatOut = (bytes: Uint8Array) => Errno | undefined;

/** A `struct stat` the call fills in; its size depends on the instruction set. */
export const statOut: Arg<StatOut> = {
  stage: { kind: "out", size: { x86_64: StatX86.size, arm64: StatArm64.size } },
  decode: (frame, index) => (bytes) => frame.copyOut(index, bytes),
  format: (frame, index) => `0x${frame.u64(index).toString(16)}`,
};

function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % WORD, true);
  view.setUint32(at + 4, Math.floor(value / WORD), true);
}

function putTime(view: DataView, at: number, ns: bigint): void {
  let seconds = ns / SECOND_NS;
  let rest = ns % SECOND_NS;
  if (rest < 0n) {
    rest += SECOND_NS;
    seconds -= 1n;
  }
  view.setBigInt64(at, seconds, true);
  view.setUint32(at + 8, Number(rest), true);
}

// By hand rather than through the declarations' encoders: programs that look at every file of a tree
// spend much of their time here. The offsets still come from the declarations.
/** `struct stat` of the instruction set. */
export function encodeStat(isa: Isa, stat: Stat): Uint8Array {
  const layout = isa === "arm64" ? StatArm64 : StatX86;
  const at = layout.offsets;
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  put64(view, at.dev, stat.dev);
  put64(view, at.ino, stat.ino);
  view.setUint32(at.nlink, stat.nlink, true);
  view.setUint32(at.mode, stat.mode, true);
  view.setUint32(at.uid, stat.uid, true);
  view.setUint32(at.gid, stat.gid, true);
  put64(view, at.rdev, stat.rdev);
  put64(view, at.size, stat.size);
  view.setUint32(at.blksize, stat.blksize, true);
  put64(view, at.blocks, stat.blocks);
  putTime(view, at.atime, stat.atimeNs);
  putTime(view, at.mtime, stat.mtimeNs);
  putTime(view, at.ctime, stat.ctimeNs);
  return bytes;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_MNT_ID = 0x1000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

function statxTime(ns: bigint) {
  const rest = ((ns % SECOND_NS) + SECOND_NS) % SECOND_NS;
  return { sec: Number((ns - rest) / SECOND_NS), nsec: Number(rest), reserved: 0 };
}

/** `struct statx`. @param mount of the file, when it has one. */
export function encodeStatx(
  stat: Stat,
  mount: { readonly id: number; readonly isRoot: boolean } | undefined,
): Uint8Array {
  return Statx.bytes({
    mask: STATX_BASIC_STATS | STATX_BTIME | (mount === undefined ? 0 : STATX_MNT_ID),
    blksize: stat.blksize,
    attributes: mount?.isRoot === true ? STATX_ATTR_MOUNT_ROOT : 0,
    nlink: stat.nlink,
    uid: stat.uid,
    gid: stat.gid,
    mode: stat.mode,
    spare0: 0,
    ino: stat.ino,
    size: stat.size,
    blocks: stat.blocks,
    attributesMask: STATX_ATTR_MOUNT_ROOT,
    atime: statxTime(stat.atimeNs),
    btime: statxTime(stat.btimeNs),
    ctime: statxTime(stat.ctimeNs),
    mtime: statxTime(stat.mtimeNs),
    rdevMajor: majorOf(stat.rdev),
    rdevMinor: minorOf(stat.rdev),
    devMajor: majorOf(stat.dev),
    devMinor: minorOf(stat.dev),
    mntId: mount?.id ?? 0,
    dioMemAlign: 0,
    dioOffsetAlign: 0,
    spare3: new Uint8Array(96),
  });
}

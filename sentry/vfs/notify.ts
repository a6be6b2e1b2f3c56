/** Change notification, as inotify(7) sees it. File operations report; `fs/inotify.ts` listens. */
import type { ByteString } from "../abi/bytes.ts";
import type { Inode } from "./inode.ts";
import type { Path } from "./mount.ts";

export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_OPEN = 0x20;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_ISDIR = 0x40000000;

/** Hears of the events of one inode. */
export interface Watcher {
  /**
   * @param name of the child the event is about, when the watched inode is its directory.
   * @param cookie ties `IN_MOVED_FROM` to `IN_MOVED_TO`; else 0.
   */
  notify(mask: number, name: ByteString | undefined, cookie: number): void;
}

export type Watchers = Set<Watcher>;

/** Reports an event of `inode` to whoever watches it. */
export function notify(inode: Inode, mask: number, name?: ByteString, cookie = 0): void {
  if (inode.watchers === undefined) return;
  for (const watcher of [...inode.watchers]) watcher.notify(mask, name, cookie);
}

/** Reports an event of the file at `path`, to those who watch it and those who watch its directory. */
export function notifyPath(path: Path, mask: number): void {
  const { dentry } = path;
  const { inode } = dentry;
  if (inode?.watchers !== undefined) notify(inode, mask);
  if (!dentry.hashed || dentry.isRoot) return;
  const parent = dentry.parent.inode;
  if (parent?.watchers !== undefined) notify(parent, mask, dentry.name);
}

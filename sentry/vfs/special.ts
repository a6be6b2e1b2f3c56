/** Files that are not bytes on a file system: devices by number, FIFOs and terminals. */
import type { Errno } from "../abi/errno.ts";
import { ENXIO } from "../abi/errno.ts";
import type { Actor } from "./fs-context.ts";
import type { Inode } from "./inode.ts";
import type { Path } from "./mount.ts";
import { OpenFile } from "./open-file.ts";
import type { Pollable } from "./poll.ts";

/** Opens one kind of device. */
export type DeviceOpener = (flags: number, path: Path, actor: Actor) => OpenFile | Errno;

/** A file whose open(2) has to wait for another process: one end of a FIFO. */
export interface PendingOpen {
  /** The open end; closed by the caller when the wait is interrupted. */
  readonly file: OpenFile;
  /** Whether the other end has come; asked again after each event of `source`. */
  ready(): boolean;
  readonly source: Pollable;
}

/** Opens a FIFO's end. The same inode is always the same FIFO. @returns `ENXIO` as fifo(7) says. */
export type FifoOpener = (
  inode: Inode,
  flags: number,
  path: Path,
) => OpenFile | PendingOpen | Errno;

/** The devices of a container. Whatever is not registered answers `ENXIO`, as without a driver. */
export class SpecialFiles {
  readonly #characters = new Map<number, DeviceOpener>();
  /** How FIFOs are opened; set by the container's composition. */
  openFifo: FifoOpener = () => ENXIO;

  /** @param rdev as `makeDev(major, minor)` gives it. */
  registerCharacter(rdev: number, open: DeviceOpener): void {
    this.#characters.set(rdev, open);
  }

  openCharacter(rdev: number, flags: number, path: Path, actor: Actor): OpenFile | Errno {
    const open = this.#characters.get(rdev);
    return open === undefined ? ENXIO : open(flags, path, actor);
  }
}

/** Whether open(2) has to wait before `opened.file` may be installed. */
export function isPending(opened: OpenFile | PendingOpen): opened is PendingOpen {
  return !(opened instanceof OpenFile);
}

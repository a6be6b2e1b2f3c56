/** `/dev` of a container: the nodes docker makes, and what those that need no terminal open. */
import type { ByteString } from "../abi/bytes.ts";
import { ENXIO, EPERM, Errno } from "../abi/errno.ts";
import { makeDev, O_ACCMODE, O_RDONLY, O_WRONLY, S_IFCHR, S_IFDIR, S_IFLNK } from "../abi/file.ts";
import { closeFd, duplicate, HOST_O, openHostPath } from "../host/fs.ts";
import type { DeviceSpec } from "../spec.ts";
import type { SpecialFiles } from "../vfs/special.ts";
import { HostFile } from "./host-file.ts";
import type { TreeFs } from "./tree/tree-fs.ts";

/** Memory devices: the same everywhere, and harmless in anybody's hands. See null(4), random(4). */
const MEMORY_DEVICES: readonly (readonly [name: ByteString, minor: number])[] = [
  ["null", 3],
  ["zero", 5],
  ["full", 7],
  ["random", 8],
  ["urandom", 9],
];
const MEMORY_MAJOR = 1;

/** Terminal devices, whose openers the terminals register. */
const TTY_DEVICES: readonly (readonly [name: ByteString, minor: number])[] = [["tty", 0]];
const TTY_MAJOR = 5;

const LINKS: readonly (readonly [name: ByteString, target: ByteString])[] = [
  ["core", "/proc/kcore"],
  ["fd", "/proc/self/fd"],
  ["ptmx", "pts/ptmx"],
  ["stderr", "/proc/self/fd/2"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
];

/** Directories that something is mounted on. */
const MOUNT_POINTS = ["pts", "shm", "mqueue"];

/** Makes the nodes of `/dev` in an empty tmpfs. */
export function populateDev(fs: TreeFs): void {
  const owner = { uid: 0, gid: 0 };
  const { root } = fs;
  for (const [name, minor] of MEMORY_DEVICES) {
    root.mknod(name, { mode: S_IFCHR | 0o666, ...owner }, makeDev(MEMORY_MAJOR, minor));
  }
  for (const [name, minor] of TTY_DEVICES) {
    root.mknod(name, { mode: S_IFCHR | 0o666, ...owner }, makeDev(TTY_MAJOR, minor));
  }
  for (const [name, target] of LINKS) {
    root.symlink(name, target, { mode: S_IFLNK | 0o777, ...owner });
  }
  for (const name of MOUNT_POINTS) root.mkdir(name, { mode: S_IFDIR | 0o755, ...owner });
}

/** Lets the memory devices be opened. @returns a function that closes what they need of the host. */
export function registerMemoryDevices(special: SpecialFiles): () => void {
  const opened: number[] = [];
  for (const [name, minor] of MEMORY_DEVICES) {
    const fd = openHostPath(`/dev/${name}`, HOST_O.RDWR);
    if (fd instanceof Errno) continue;
    opened.push(fd);
    // All opens share one description: these devices have neither offset nor state.
    special.registerCharacter(makeDev(MEMORY_MAJOR, minor), (flags, path) => {
      const own = duplicate(fd);
      return own instanceof Errno ? ENXIO : new HostFile(flags, path, own);
    });
  }
  return () => opened.forEach(closeFd);
}

/**
 * Lets a device of the host be opened as itself, as far as its permissions go. Reads, writes and waiting work;
 * its ioctls are not passed on. Memory devices stay what they are in every container.
 */
export function registerHostDevice(
  special: SpecialFiles,
  { source, rdev, readable, writable }: DeviceSpec,
): void {
  if (MEMORY_DEVICES.some(([, minor]) => makeDev(MEMORY_MAJOR, minor) === rdev)) return;
  special.registerCharacter(rdev, (flags, path) => {
    const access = flags & O_ACCMODE;
    if ((access !== O_WRONLY && !readable) || (access !== O_RDONLY && !writable)) return EPERM;
    const fd = openHostPath(source, access | HOST_O.NONBLOCK | HOST_O.NOCTTY);
    return fd instanceof Errno ? fd : new HostFile(flags, path, fd);
  });
}

import { ISAS, type Isa, NUMBERS, type SyscallName } from "../abi/numbers.ts";
import type { Syscall } from "./define.ts";
import { DIR } from "./dir.ts";
import { EVENT } from "./event.ts";
import { FD } from "./fd.ts";
import { FILE } from "./file.ts";
import { IDENTITY } from "./identity.ts";
import { INOTIFY } from "./inotify.ts";
import { IO_PRIORITY } from "./io-priority.ts";
import { IOCTL } from "./ioctl.ts";
import { IPC } from "./ipc.ts";
import { LIMITS } from "./limits.ts";
import { LOCK } from "./lock.ts";
import { MEMORY } from "./memory.ts";
import { MESSAGE } from "./message.ts";
import { MOUNT } from "./mount.ts";
import { POLL } from "./poll.ts";
import { PRIVILEGED } from "./privileged.ts";
import { PROCESS } from "./process.ts";
import { PROCESS_MEMORY } from "./process-memory.ts";
import { RW } from "./rw.ts";
import { SHM } from "./shm.ts";
import { SIGNAL } from "./signal.ts";
import { SOCKET } from "./socket.ts";
import { SPLICE } from "./splice.ts";
import { STAT } from "./stat.ts";
import { SYSTEM } from "./system.ts";
import { THREAD } from "./thread.ts";
import { TIME } from "./time.ts";
import { XATTR } from "./xattr.ts";

/** The rows of all families. */
const FAMILIES: readonly (readonly Syscall[])[] = [
  PROCESS,
  THREAD,
  SIGNAL,
  TIME,
  IDENTITY,
  SYSTEM,
  LIMITS,
  PRIVILEGED,
  MEMORY,
  FD,
  RW,
  SPLICE,
  POLL,
  EVENT,
  SOCKET,
  MESSAGE,
  IOCTL,
  FILE,
  DIR,
  STAT,
  XATTR,
  LOCK,
  MOUNT,
  INOTIFY,
  IPC,
  SHM,
  IO_PRIORITY,
  PROCESS_MEMORY,
];

/**
 * The rows of some families, by name.
 * @throws Error when two rows have the same name.
 */
export function collectRows(
  families: readonly (readonly Syscall[])[],
): ReadonlyMap<SyscallName, Syscall> {
  const rows = new Map<SyscallName, Syscall>();
  for (const row of families.flat()) {
    if (rows.has(row.name)) throw new Error(`Two rows define the system call ${row.name}`);
    rows.set(row.name, row);
  }
  return rows;
}

/** Every call the sentry answers, by name. A name that is not here is answered with ENOSYS. */
export const SYSCALLS: ReadonlyMap<SyscallName, Syscall> = collectRows(FAMILIES);

/** The rows by number, for each instruction set; holes are calls without a row. */
export const SYSCALLS_BY_NUMBER: Readonly<Record<Isa, readonly (Syscall | undefined)[]>> = {
  x86_64: byNumber("x86_64"),
  arm64: byNumber("arm64"),
};

function byNumber(isa: Isa): readonly (Syscall | undefined)[] {
  const column = ISAS.indexOf(isa);
  const highest = Math.max(...Object.values(NUMBERS).map((numbers) => numbers[column] ?? -1));
  const table = new Array<Syscall | undefined>(highest + 1).fill(undefined);
  for (const [name, row] of SYSCALLS) {
    const number = NUMBERS[name][column] ?? -1;
    if (number >= 0) table[number] = row;
  }
  return table;
}

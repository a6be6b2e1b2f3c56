/** Hostile calls: whatever a guest passes, a row answers with a result or an errno. */
import test from "ava";
import fc from "fast-check";
import { EFAULT, Errno } from "../../../sentry/abi/errno.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import type { Reactor } from "../../../sentry/host/reactor.ts";
import { PARKED } from "../../../sentry/kernel/blocking.ts";
import { FdTable } from "../../../sentry/kernel/fd-table.ts";
import { Limits } from "../../../sentry/kernel/limits.ts";
import type { Task } from "../../../sentry/kernel/task.ts";
import type { CallFrame, Syscall } from "../../../sentry/syscalls/define.ts";
import { DIR } from "../../../sentry/syscalls/dir.ts";
import { FILE } from "../../../sentry/syscalls/file.ts";
import { INOTIFY } from "../../../sentry/syscalls/inotify.ts";
import { LOCK } from "../../../sentry/syscalls/lock.ts";
import { MOUNT } from "../../../sentry/syscalls/mount.ts";
import { STAT } from "../../../sentry/syscalls/stat.ts";
import { XATTR } from "../../../sentry/syscalls/xattr.ts";
import { ROOT_CREDENTIALS } from "../../../sentry/vfs/credentials.ts";
import { Guest, ioBuffer, scratch } from "../fs/fixture.ts";

const ROWS: readonly Syscall[] = [FILE, DIR, STAT, XATTR, LOCK, MOUNT, INOTIFY].flat();
const PATHS = [
  "",
  "/",
  ".",
  "..",
  "/d",
  "/d/f",
  "f/",
  "/l",
  "/d/../d//f",
  "x\0y",
  "user.a",
  "/new",
  "tmpfs",
];
const REACTOR: Reactor = {
  watch: () => ({ setEvents: () => {}, close: () => {} }),
  at: () => ({ cancel: () => {} }),
  now: () => 0n,
  post: () => {},
  shareWithNode: () => ({ close: () => {} }),
};

/** A register: small numbers, descriptors, flags, addresses, and all that is at the edge of its type. */
const register = fc.oneof(
  fc.bigInt(-3n, 12n),
  fc.constantFrom(-100n, 0x80000000n, 0xffffffffn, 2n ** 63n, 2n ** 64n - 1n, 0o40000n, 0x1000n),
  fc.bigInt(0n, 2n ** 64n - 1n),
);

/** Whether the bytes behind pointers are there: by a number that decides each time. */
class FuzzFrame implements CallFrame {
  readonly #registers: readonly bigint[];
  readonly #seed: number;

  constructor(registers: readonly bigint[], seed: number) {
    this.#registers = registers;
    this.#seed = seed;
  }
  big(index: number): bigint {
    return BigInt.asUintN(64, this.#registers[index] ?? 0n);
  }
  s32(index: number): number {
    return Number(BigInt.asIntN(32, this.big(index)));
  }
  u32(index: number): number {
    return Number(BigInt.asUintN(32, this.big(index)));
  }
  s64(index: number): number {
    return Number(BigInt.asIntN(64, this.big(index)));
  }
  u64(index: number): number {
    return Number(this.big(index));
  }
  #mapped(index: number): boolean {
    return this.big(index) !== 0n && ((this.#seed >> index) & 3) !== 0;
  }
  copyIn(index: number, length: number): Uint8Array | Errno {
    if (!this.#mapped(index)) return EFAULT;
    return Uint8Array.from({ length }, (_, i) => (this.#seed * (i + 7)) >> 3);
  }
  string(index: number, limit: number): string | Errno {
    if (!this.#mapped(index)) return EFAULT;
    return (PATHS[(this.#seed + index * 5) % PATHS.length] ?? "").slice(0, limit);
  }
  copyOut(index: number, _bytes: Uint8Array): Errno | undefined {
    return this.#mapped(index) ? undefined : EFAULT;
  }
  input(_index: number, length: number) {
    return ioBuffer(Buffer.alloc(Math.min(length, 4096)));
  }
  output(_index: number, length: number) {
    return ioBuffer(Buffer.alloc(Math.min(length, 4096)));
  }
}

for (const capable of [false, true]) {
  const who = capable ? "with every capability" : "with docker's capabilities";
  test(`no call of the file rows throws, ${who}`, (t) => {
    const directory = scratch();
    const fs = tmpfs({ dirfd: directory.dirfd(), size: 1 << 20 });
    const call = fc.record({
      row: fc.nat(ROWS.length - 1),
      registers: fc.array(register, { minLength: 6, maxLength: 6 }),
      seed: fc.nat(0xffffff),
    });
    const guest = new Guest(fs);
    guest.namespace.makeFileSystem = () => tmpfs({ dirfd: directory.dirfd(), size: 4096 });
    const task = {
      fs: guest.fs,
      tid: 1,
      credentials: capable
        ? { ...ROOT_CREDENTIALS, capabilities: 2n ** 41n - 1n }
        : ROOT_CREDENTIALS,
      files: new FdTable(),
      memory: {
        copyIn: (_addr: number, length: number) =>
          length > 4096 ? EFAULT : Uint8Array.from({ length }, (_, i) => i & 3),
        copyOut: () => undefined,
        copyInString: () => EFAULT,
      },
      process: { pid: 1, isa: "x86_64", limits: new Limits() },
      kernel: { reactor: REACTOR, pids: { processes: () => [] } },
      hasDeliverableSignal: () => true,
      park: () => {},
      unpark: () => {},
      complete: () => {},
    } as unknown as Task;
    fc.assert(
      fc.property(call, ({ row, registers, seed }) => {
        const syscall = ROWS[row] as Syscall;
        const result = syscall.invoke(task, new FuzzFrame(registers, seed));
        t.true(
          result === PARKED || result instanceof Errno || Number.isSafeInteger(result),
          syscall.name,
        );
      }),
      { numRuns: 6000 },
    );
    task.files.leave();
    fs.release();
    directory.done();
  });
}

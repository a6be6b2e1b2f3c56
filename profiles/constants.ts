import type { SyscallName } from "../sentry/abi/numbers.ts";
import type { Named } from "./model.ts";

/**
 * The numbers that the executor's runtime (C++), the sentry and the profile must agree on. The C++
 * header `guest/confine/confinement_layout.h` is generated from this file.
 */

/**
 * clone(2) flags of a guest thread: CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS |
 * PARENT_SETTID | CHILD_CLEARTID. The only thread flags the filter lets pass.
 */
export const CLONE_FLAGS_THREAD = 0x3d0f00;
/** clone(2) flags of a guest fork whose child the executor itself is the parent of: SIGCHLD. */
export const CLONE_FLAGS_FORK = 0x11;
/** The same, but the child's parent is the launcher, which reaps it: CLONE_PARENT | SIGCHLD. */
export const CLONE_FLAGS_FORK_TO_LAUNCHER = 0x8011;
/** A guest vfork, reaped by the launcher: CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD. */
export const CLONE_FLAGS_VFORK_TO_LAUNCHER = 0xc111;

/**
 * The descriptor numbers into which the sentry donates regular files. An executor holds no
 * descriptor outside the window; numbers below it are the launcher's before it forks.
 */
export const DESCRIPTOR_WINDOW = { first: 16, last: 79 } as const;

/**
 * The designated call by which an executor reaches the sentry through its seccomp listener, to
 * announce itself and to be given descriptors. nfsservctl(2) was removed in Linux 3.1 and its number
 * is reserved for ever on every instruction set: no program uses it, and without a listener the
 * kernel answers ENOSYS.
 */
export const NOTIFY_CALL = "nfsservctl" satisfies SyscallName;

function named<const Names extends Record<string, number>>(
  names: Names,
): { readonly [Name in keyof Names]: Named } {
  const entries = Object.entries(names).map(([name, value]) => [name, { name, value }]);
  return Object.fromEntries(entries) as { [Name in keyof Names]: Named };
}

/** mmap(2) flags (`asm-generic/mman-common.h`, `linux/mman.h`). */
export const MAP = named({
  MAP_SHARED: 0x01,
  MAP_PRIVATE: 0x02,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
  MAP_STACK: 0x20000,
  MAP_FIXED_NOREPLACE: 0x100000,
});
/** Page protections, mprotect(2). */
export const PROT = named({ PROT_READ: 1, PROT_WRITE: 2, PROT_EXEC: 4 });
/** mremap(2) flags. */
export const MREMAP = named({ MREMAP_MAYMOVE: 1, MREMAP_FIXED: 2 });
/** madvise(2) advice. */
export const MADV = named({
  MADV_DONTNEED: 4,
  MADV_FREE: 8,
  MADV_DONTFORK: 10,
  MADV_HUGEPAGE: 14,
  MADV_NOHUGEPAGE: 15,
});
/** futex(2) operations and their modifiers. */
export const FUTEX = named({
  FUTEX_WAIT: 0,
  FUTEX_WAKE: 1,
  FUTEX_WAIT_BITSET: 9,
  FUTEX_WAKE_BITSET: 10,
  FUTEX_PRIVATE_FLAG: 128,
  FUTEX_CLOCK_REALTIME: 256,
});
/** What clone(2) may be called with. */
export const CLONE = named({
  CLONE_FLAGS_THREAD,
  CLONE_FLAGS_FORK,
  CLONE_FLAGS_FORK_TO_LAUNCHER,
  CLONE_FLAGS_VFORK_TO_LAUNCHER,
});

/** namespaces(7): the clone flag of each. */
export const NAMESPACE_FLAGS = {
  user: 0x10000000,
  mount: 0x00020000,
  pid: 0x20000000,
  network: 0x40000000,
  ipc: 0x08000000,
  uts: 0x04000000,
  cgroup: 0x02000000,
} as const;

/** getrlimit(2): the number of each resource (`asm-generic/resource.h`). */
export const RESOURCE_NUMBERS = {
  FSIZE: 1,
  DATA: 2,
  CORE: 4,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
} as const;

/** capabilities(7): the bit of each. */
export const CAPABILITY_BITS = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  FSETID: 4,
  SETGID: 6,
  NET_BIND_SERVICE: 10,
} as const;

/** prctl(2) PR_SET_SPECULATION_CTRL: the number of each control. */
export const SPECULATION_NUMBERS = { "store-bypass": 0, "indirect-branch": 1 } as const;

/** Structures of the calls about processes, signals and time, named as in C. */
import { big64, bytes, i32, i64, struct, u16, u32, u64 } from "./struct.ts";
import { Timeval } from "./structs.ts";

/** `struct rusage`, `<linux/resource.h>`. */
export const Rusage = struct({
  utime: Timeval,
  stime: Timeval,
  /** In KiB. */
  maxrss: i64,
  ixrss: i64,
  idrss: i64,
  isrss: i64,
  minflt: i64,
  majflt: i64,
  nswap: i64,
  inblock: i64,
  oublock: i64,
  msgsnd: i64,
  msgrcv: i64,
  nsignals: i64,
  nvcsw: i64,
  nivcsw: i64,
});

/** `struct tms`, `<linux/times.h>`. */
export const Tms = struct({ utime: i64, stime: i64, cutime: i64, cstime: i64 });

/** `struct clone_args`, `<linux/sched.h>`; the members after `tls` came later. */
export const CloneArgs = struct({
  flags: u64,
  pidfd: u64,
  childTid: u64,
  parentTid: u64,
  exitSignal: u64,
  stack: u64,
  stackSize: u64,
  tls: u64,
  setTid: u64,
  setTidSize: u64,
  cgroup: u64,
});
/** Size of the first published `struct clone_args`. */
export const CLONE_ARGS_SIZE_VER0 = 64;

/** The kernel's `struct sigaction`, the same on both instruction sets. */
export const Sigaction = struct({ handler: u64, flags: u64, restorer: u64, mask: big64 });

/** `struct sigevent`, `<asm-generic/siginfo.h>`. */
export const Sigevent = struct({
  value: big64,
  signo: i32,
  notify: i32,
  tid: i32,
  rest: bytes(44),
});

/** `struct sysinfo`, `<linux/sysinfo.h>`. */
export const Sysinfo = struct({
  uptime: i64,
  load1: u64,
  load5: u64,
  load15: u64,
  totalram: u64,
  freeram: u64,
  sharedram: u64,
  bufferram: u64,
  totalswap: u64,
  freeswap: u64,
  procs: u16,
  pad: u16,
  totalhigh: u64,
  freehigh: u64,
  memUnit: u32,
});

/** `struct new_utsname`, `<linux/utsname.h>`. */
export const Utsname = struct({
  sysname: bytes(65),
  nodename: bytes(65),
  release: bytes(65),
  version: bytes(65),
  machine: bytes(65),
  domainname: bytes(65),
});

/** `struct sched_attr`, `<linux/sched/types.h>`, with its first published size. */
export const SchedAttr = struct({
  size: u32,
  policy: u32,
  flags: u64,
  nice: i32,
  priority: u32,
  runtime: u64,
  deadline: u64,
  period: u64,
});

/** `struct __user_cap_header_struct`, `<linux/capability.h>`. */
export const CapHeader = struct({ version: u32, pid: i32 });
/** `struct __user_cap_data_struct`; two of them hold 64 bits. */
export const CapData = struct({ effective: u32, permitted: u32, inheritable: u32 });

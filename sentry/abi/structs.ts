/** Linux's structures, one declaration each, named as in C. A test compares them with the host's headers. */
import { be16, big64, bytes, i32, i64, struct, u8, u16, u32, u64 } from "./struct.ts";

/** `struct timespec`, `<linux/time_types.h>` (`__kernel_timespec`). */
export const Timespec = struct({ sec: i64, nsec: i64 });
/** `struct timeval`, `<linux/time.h>`. */
export const Timeval = struct({ sec: i64, usec: i64 });
/** `struct itimerspec`. */
export const Itimerspec = struct({ interval: Timespec, value: Timespec });
/** `struct itimerval`. */
export const Itimerval = struct({ interval: Timeval, value: Timeval });
/** `struct iovec`, `<linux/uio.h>`. */
export const Iovec = struct({ base: u64, len: u64 });
/** `struct pollfd`, `<asm-generic/poll.h>`. */
export const Pollfd = struct({ fd: i32, events: u16, revents: u16 });
/** `struct rlimit64`. */
export const Rlimit = struct({ cur: big64, max: big64 });
/** `struct winsize`, `<asm-generic/termios.h>`. */
export const Winsize = struct({ row: u16, col: u16, xpixel: u16, ypixel: u16 });
/** `struct sockaddr_in`. */
export const SockaddrIn = struct({ family: u16, port: be16, addr: bytes(4), zero: bytes(8) });
/** `struct sockaddr_in6`. */
export const SockaddrIn6 = struct({
  family: u16,
  port: be16,
  flowinfo: u32,
  addr: bytes(16),
  scopeId: u32,
});

/** `struct stat` of x86-64, `<asm/stat.h>`. */
export const StatX86 = struct({
  dev: u64,
  ino: u64,
  nlink: u64,
  mode: u32,
  uid: u32,
  gid: u32,
  pad0: u32,
  rdev: u64,
  size: i64,
  blksize: i64,
  blocks: i64,
  atime: Timespec,
  mtime: Timespec,
  ctime: Timespec,
  unused: bytes(24),
});

/** `struct stat` of arm64, `<asm-generic/stat.h>`. */
export const StatArm64 = struct({
  dev: u64,
  ino: u64,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u64,
  pad1: u64,
  size: i64,
  blksize: i32,
  pad2: i32,
  blocks: i64,
  atime: Timespec,
  mtime: Timespec,
  ctime: Timespec,
  unused: bytes(8),
});

/** `struct statx_timestamp`, `<linux/stat.h>`. */
export const StatxTimestamp = struct({ sec: i64, nsec: u32, reserved: i32 });

/** `struct statx`, `<linux/stat.h>`. */
export const Statx = struct({
  mask: u32,
  blksize: u32,
  attributes: u64,
  nlink: u32,
  uid: u32,
  gid: u32,
  mode: u16,
  spare0: u16,
  ino: u64,
  size: u64,
  blocks: u64,
  attributesMask: u64,
  atime: StatxTimestamp,
  btime: StatxTimestamp,
  ctime: StatxTimestamp,
  mtime: StatxTimestamp,
  rdevMajor: u32,
  rdevMinor: u32,
  devMajor: u32,
  devMinor: u32,
  mntId: u64,
  dioMemAlign: u32,
  dioOffsetAlign: u32,
  spare3: bytes(96),
});

/** `struct termios` of the kernel, `<asm-generic/termbits.h>`. */
export const Termios = struct({
  iflag: u32,
  oflag: u32,
  cflag: u32,
  lflag: u32,
  line: u8,
  cc: bytes(19),
});

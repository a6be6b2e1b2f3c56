import {
  CLD_CONTINUED,
  SI_KERNEL,
  SI_TIMER,
  type SI_TKILL,
  type SI_USER,
  SIGCHLD,
} from "../abi/signal.ts";
import { array, big64, i32, i64, struct, u32, u64 } from "../abi/struct.ts";

/** Size of `siginfo_t` on every instruction set. */
export const SIGINFO_SIZE = 128;

/** What is known of one signal: `siginfo_t`, and the two members everyone asks for. See sigaction(2). */
export interface Siginfo {
  readonly signo: number;
  /** `si_code`. */
  readonly code: number;
  /** The whole `siginfo_t`, 128 bytes. */
  readonly bytes: Uint8Array;
  /** Called when it is taken from its queue: what the receiver is told, if more is known by then. */
  readonly taken?: () => Siginfo;
}

// The members of siginfo_t's union, by who fills them in. `<asm-generic/siginfo.h>`
const HEADER = { signo: i32, errno: i32, code: i32, pad: i32 };
const Kill = struct({ ...HEADER, pid: i32, uid: u32, value: big64 });
const Timer = struct({ ...HEADER, timerid: i32, overrun: i32, value: big64 });
const Child = struct({
  ...HEADER,
  pid: i32,
  uid: u32,
  status: i32,
  pad2: i32,
  utime: i64,
  stime: i64,
});
const Fault = struct({ ...HEADER, addr: u64 });
const Poll = struct({ ...HEADER, band: i64, fd: i32 });
const Header = struct({ ...HEADER, rest: array(u32, 28) });

function info(signo: number, code: number, encoded: Uint8Array): Siginfo {
  const bytes = new Uint8Array(SIGINFO_SIZE);
  bytes.set(encoded);
  return { signo, code, bytes };
}

/** A signal sent by a process: kill(2), tgkill(2), sigqueue(3). */
export function sentBy(
  signo: number,
  code: typeof SI_USER | typeof SI_TKILL | -1,
  pid: number,
  uid: number,
  value = 0n,
): Siginfo {
  return info(signo, code, Kill.bytes({ signo, errno: 0, code, pad: 0, pid, uid, value }));
}

/** A signal the kernel itself sends: a terminal's SIGINT, SIGHUP for an orphaned group. */
export function fromKernel(signo: number): Siginfo {
  return info(
    signo,
    SI_KERNEL,
    Header.bytes({ signo, errno: 0, code: SI_KERNEL, pad: 0, rest: [] }),
  );
}

/** A fault of the running instruction at `addr`. */
export function fault(signo: number, code: number, addr: number): Siginfo {
  return info(signo, code, Fault.bytes({ signo, errno: 0, code, pad: 0, addr }));
}

/** A POSIX timer's expiry; see timer_create(2). */
export function timerExpiry(
  signo: number,
  timerid: number,
  overrun: number,
  value: bigint,
): Siginfo {
  const code = SI_TIMER;
  return info(signo, code, Timer.bytes({ signo, errno: 0, code, pad: 0, timerid, overrun, value }));
}

/**
 * What became of a child: the SIGCHLD its parent gets, or what waitid(2) reports.
 * @param code CLD_*.
 * @param status the exit code, or the number of the signal.
 * @param userTicks CPU time in clock ticks.
 */
export function childEvent(
  code: number,
  pid: number,
  uid: number,
  status: number,
  userTicks = 0,
  systemTicks = 0,
  signo: number = SIGCHLD,
): Siginfo {
  if (code < 1 || code > CLD_CONTINUED) throw new RangeError(`Not a CLD_ code: ${code}`);
  return info(
    signo,
    code,
    Child.bytes({
      signo,
      errno: 0,
      code,
      pad: 0,
      pid,
      uid,
      status,
      pad2: 0,
      utime: userTicks,
      stime: systemTicks,
    }),
  );
}

/** A `siginfo_t` from a guest, for rt_sigqueueinfo(2); its signal number is what the call says. */
export function fromGuest(signo: number, raw: Uint8Array): Siginfo {
  const header = Header.parse(raw);
  return info(signo, header.code, Uint8Array.from(Header.bytes({ ...header, signo })));
}

/** The members that signalfd(2) shows of a queued signal. */
export interface SiginfoMembers {
  readonly errno: number;
  readonly pid: number;
  readonly uid: number;
  readonly timerid: number;
  readonly overrun: number;
  readonly value: bigint;
  readonly status: number;
  readonly utime: number;
  readonly stime: number;
  readonly addr: number;
  readonly band: number;
  readonly fd: number;
}

/** All members of a `siginfo_t`, each read where its union has it; which of them mean something, `code` says. */
export function members(of: Siginfo): SiginfoMembers {
  const kill = Kill.parse(of.bytes);
  const timer = Timer.parse(of.bytes);
  const child = Child.parse(of.bytes);
  const poll = Poll.parse(of.bytes);
  return {
    errno: kill.errno,
    pid: kill.pid,
    uid: kill.uid,
    timerid: timer.timerid,
    overrun: timer.overrun,
    value: kill.value,
    status: child.status,
    utime: child.utime,
    stime: child.stime,
    addr: Fault.parse(of.bytes).addr,
    band: poll.band,
    fd: poll.fd,
  };
}

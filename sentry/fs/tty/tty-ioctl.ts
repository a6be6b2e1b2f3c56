/** The ioctls of terminals. See ioctl_tty(2). */
import { EFAULT, EINVAL, EIO, ENOTTY, EPERM, Errno, ESRCH } from "../../abi/errno.ts";
import { SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTOU } from "../../abi/signal.ts";
import { bytes, type Struct, struct, u8, u16, u32 } from "../../abi/struct.ts";
import { Termios, Winsize } from "../../abi/structs.ts";
import * as tty from "../../abi/tty.ts";
import type { IoctlContext } from "../../vfs/open-file.ts";
import type { Pty } from "./pty.ts";

/** `struct termios2`: with the speeds as numbers. */
const Termios2 = struct({
  iflag: u32,
  oflag: u32,
  cflag: u32,
  lflag: u32,
  line: u8,
  cc: bytes(tty.NCCS),
  ispeed: u32,
  ospeed: u32,
});
/** `struct termio` of System V: short flags, and the first control characters. */
const Termio = struct({ iflag: u16, oflag: u16, cflag: u16, lflag: u16, line: u8, cc: bytes(8) });
const SPEED = 38_400;
const Int = struct({ value: u32 });

type Request = (pty: Pty, context: IoctlContext) => number | Errno;

function out<T>(layout: Struct<T>, value: (pty: Pty) => T): Request {
  return (pty, context) => context.copyOut(layout.bytes(value(pty))) ?? 0;
}

const outInt = (value: (pty: Pty) => number): Request => out(Int, (pty) => ({ value: value(pty) }));

function inInt(act: (pty: Pty, value: number, context: IoctlContext) => number | Errno): Request {
  return (pty, context) => {
    const raw = context.copyIn(Int.size);
    return raw instanceof Errno ? EFAULT : act(pty, Int.parse(raw).value, context);
  };
}

type Modes = ReturnType<typeof Termios.parse>;

/** The low halves of the flags and the first characters are new, the others stay. */
function mergeTermio(raw: Uint8Array, before: Modes): Modes {
  const { iflag, oflag, cflag, lflag, line, cc } = Termio.parse(raw);
  const merge = (old: number, low: number) => ((old & ~0xffff) | low) >>> 0;
  const characters = Uint8Array.from(before.cc);
  characters.set(cc);
  return {
    iflag: merge(before.iflag, iflag),
    oflag: merge(before.oflag, oflag),
    cflag: merge(before.cflag, cflag),
    lflag: merge(before.lflag, lflag),
    line,
    cc: characters,
  };
}

/** Sets the terminal's modes; `flush` throws away what has not been read. */
function setTermios(
  layout: typeof Termios | typeof Termios2 | typeof Termio,
  flush: boolean,
): Request {
  return (pty, context) => {
    const raw = context.copyIn(layout.size);
    if (raw instanceof Errno) return raw;
    const before = pty.discipline.termios;
    const wanted = layout === Termio ? mergeTermio(raw, before) : Termios.parse(raw);
    const { iflag, oflag, cflag, lflag, line, cc } = wanted;
    if (flush) pty.flushInput();
    pty.discipline.termios = { iflag, oflag, cflag, lflag, line, cc };
    const mayStop = (iflag & tty.IXON) !== 0 && cc[tty.VSTOP] === 0x13 && cc[tty.VSTART] === 0x11;
    const couldStop = (before.iflag & tty.IXON) !== 0;
    if (mayStop !== couldStop) pty.tellMaster(mayStop ? tty.TIOCPKT_DOSTOP : tty.TIOCPKT_NOSTOP);
    if ((lflag & tty.EXTPROC) !== 0) pty.tellMaster(tty.TIOCPKT_IOCTL);
    // What waited as half a line may be readable now, and the other way round.
    pty.slaveQueue.wake(0x1);
    return 0;
  };
}

const FLUSH: Readonly<Record<number, (pty: Pty) => void>> = {
  0: (pty) => pty.flushInput(), // TCIFLUSH
  1: (pty) => pty.flushOutput(), // TCOFLUSH
  2: (pty) => {
    pty.flushInput();
    pty.flushOutput();
  },
};

const flush: Request = (pty, { argument }) => {
  const run = FLUSH[argument];
  run?.(pty);
  return run === undefined ? EINVAL : 0;
};

/** tcflow(3): stop and go on; the other two would send the characters, to a master that never stops. */
const flow: Request = (pty, { argument }) => {
  if (argument > 3) return EINVAL;
  if (argument < 2) pty.discipline.setStopped(argument === 0);
  return 0;
};

/** Requests that both sides understand and that need no permission. */
const COMMON: ReadonlyMap<number, Request> = new Map<number, Request>([
  [tty.TCGETS, out(Termios, (pty) => pty.discipline.termios)],
  [
    tty.TCGETS2,
    out(Termios2, (pty) => ({ ...pty.discipline.termios, ispeed: SPEED, ospeed: SPEED })),
  ],
  [
    tty.TCGETA,
    (pty, context) => {
      const { iflag, oflag, cflag, lflag, line, cc } = pty.discipline.termios;
      const low = (flags: number) => flags & 0xffff;
      const modes = { iflag: low(iflag), oflag: low(oflag), cflag: low(cflag), lflag: low(lflag) };
      return context.copyOut(Termio.bytes({ ...modes, line, cc: cc.subarray(0, 8) })) ?? 0;
    },
  ],
  [tty.TIOCGWINSZ, out(Winsize, (pty) => pty.winsize)],
  [
    tty.TIOCSWINSZ,
    (pty, context) => {
      const raw = context.copyIn(Winsize.size);
      if (raw instanceof Errno) return raw;
      pty.resize(Winsize.parse(raw));
      return 0;
    },
  ],
  [tty.TIOCGETD, outInt(() => 0)],
  [
    tty.TIOCEXCL,
    (pty) => {
      pty.exclusive = true;
      return 0;
    },
  ],
  [
    tty.TIOCNXCL,
    (pty) => {
      pty.exclusive = false;
      return 0;
    },
  ],
]);

/** Requests that change the terminal: a caller in the background is stopped first. */
const CHANGES: ReadonlyMap<number, Request> = new Map<number, Request>([
  [tty.TCSETS, setTermios(Termios, false)],
  [tty.TCSETSW, setTermios(Termios, false)],
  [tty.TCSETSF, setTermios(Termios, true)],
  [tty.TCSETA, setTermios(Termio, false)],
  [tty.TCSETAW, setTermios(Termio, false)],
  [tty.TCSETAF, setTermios(Termio, true)],
  [tty.TCSETS2, setTermios(Termios2, false)],
  [tty.TCSETSW2, setTermios(Termios2, false)],
  [tty.TCSETSF2, setTermios(Termios2, true)],
  [tty.TCFLSH, flush],
  [tty.TCXONC, flow],
  [tty.TCSBRK, () => 0],
  [tty.TCSBRKP, () => 0],
  [tty.TIOCSETD, inInt((_pty, value) => (value === 0 ? 0 : EINVAL))],
]);

/** Whether the terminal is `caller`'s controlling one. */
function controls(pty: Pty, caller: unknown): boolean {
  return pty.context.jobControl.terminal(caller) === pty;
}

const setForeground = inInt((pty, group, { caller }) => {
  const { jobControl } = pty.context;
  if (!controls(pty, caller) || pty.session !== jobControl.session(caller)) return ENOTTY;
  if (group > 0x7fff_ffff) return EINVAL;
  const session = jobControl.sessionOf(group);
  if (session === undefined) return ESRCH;
  if (session !== pty.session) return EPERM;
  pty.foregroundGroup = group;
  return 0;
});

const takeTerminal: Request = (pty, { argument, caller }) => {
  const { jobControl } = pty.context;
  if (pty.session !== 0 && pty.session === jobControl.session(caller) && controls(pty, caller)) {
    return 0;
  }
  if (!jobControl.isSessionLeader(caller) || jobControl.terminal(caller) !== undefined)
    return EPERM;
  if (pty.session !== 0 && !(argument === 1 && jobControl.mayStealTerminal(caller))) return EPERM;
  pty.becomeControlling(caller);
  return 0;
};

const giveTerminalUp: Request = (pty, { caller }) => {
  const { jobControl } = pty.context;
  if (!controls(pty, caller)) return ENOTTY;
  if (!jobControl.isSessionLeader(caller)) return 0;
  const { session, foregroundGroup } = pty;
  jobControl.setTerminal(session, undefined);
  pty.disassociate();
  jobControl.signalGroup(foregroundGroup, SIGHUP);
  jobControl.signalGroup(foregroundGroup, SIGCONT);
  return 0;
};

/** What only slaves understand. */
const SLAVE: ReadonlyMap<number, Request> = new Map<number, Request>([
  [tty.FIONREAD, outInt((pty) => pty.discipline.available)],
  [tty.TIOCOUTQ, outInt((pty) => pty.outputLength)],
  [tty.TIOCSCTTY, takeTerminal],
  [tty.TIOCNOTTY, giveTerminalUp],
  [
    tty.TIOCGPGRP,
    (pty, context) =>
      controls(pty, context.caller) ? outInt(() => pty.foregroundGroup)(pty, context) : ENOTTY,
  ],
  [
    tty.TIOCGSID,
    (pty, context) =>
      controls(pty, context.caller) ? outInt(() => pty.session)(pty, context) : ENOTTY,
  ],
  // Typing into another program's terminal: refused, as by kernels without CONFIG_LEGACY_TIOCSTI.
  [tty.TIOCSTI, () => EIO],
]);

/** Signals that TIOCSIG may send. */
const MASTER_SIGNALS: ReadonlySet<number> = new Set([SIGINT, SIGQUIT, SIGTSTP]);

/** What only masters understand, or understand differently. */
const MASTER: ReadonlyMap<number, Request> = new Map<number, Request>([
  [tty.FIONREAD, outInt((pty) => pty.outputLength)],
  [tty.TIOCOUTQ, outInt((pty) => pty.discipline.available)],
  [tty.TIOCGPTN, outInt((pty) => pty.index)],
  [
    tty.TIOCSPTLCK,
    inInt((pty, value) => {
      pty.locked = value !== 0;
      return 0;
    }),
  ],
  [tty.TIOCGPTLCK, outInt((pty) => (pty.locked ? 1 : 0))],
  [
    tty.TIOCPKT,
    inInt((pty, value) => {
      pty.packetMode = value !== 0;
      pty.packetStatus = 0;
      return 0;
    }),
  ],
  [tty.TIOCGPKT, outInt((pty) => (pty.packetMode ? 1 : 0))],
  [
    tty.TIOCSIG,
    (pty, { argument }) => {
      if (!MASTER_SIGNALS.has(argument)) return EINVAL;
      pty.context.jobControl.signalGroup(pty.foregroundGroup, argument);
      return 0;
    },
  ],
  [tty.TIOCGPGRP, outInt((pty) => pty.foregroundGroup)],
  [
    tty.TIOCGSID,
    (pty, context) => (pty.session === 0 ? ENOTTY : outInt(() => pty.session)(pty, context)),
  ],
  [
    tty.TIOCSPGRP,
    inInt((pty, group) => {
      if (pty.session === 0) return ENOTTY;
      if (pty.context.jobControl.sessionOf(group) !== pty.session) return ESRCH;
      pty.foregroundGroup = group;
      return 0;
    }),
  ],
]);

/** @returns `ENOTTY` for a request that a slave does not know, `ERESTARTSYS` when the caller is to stop. */
export function slaveIoctl(pty: Pty, request: number, context: IoctlContext): number | Errno {
  const changes = request === tty.TIOCSPGRP ? setForeground : CHANGES.get(request);
  if (changes === undefined) {
    return (SLAVE.get(request) ?? COMMON.get(request))?.(pty, context) ?? ENOTTY;
  }
  return pty.checkBackground(context.caller, SIGTTOU) ?? changes(pty, context);
}

/** @returns `ENOTTY` for a request that a master does not know. */
export function masterIoctl(pty: Pty, request: number, context: IoctlContext): number | Errno {
  const run = MASTER.get(request) ?? CHANGES.get(request) ?? COMMON.get(request);
  return run?.(pty, context) ?? ENOTTY;
}

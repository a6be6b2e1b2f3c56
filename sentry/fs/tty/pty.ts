/** Pseudoterminals: a master, which plays the terminal, and slaves, which programs open. See pty(7). */
import { EAGAIN, EBUSY, EIO, ENXIO, ERESTARTSYS, Errno } from "../../abi/errno.ts";
import { makeDev, O_ACCMODE, O_NOCTTY, O_NONBLOCK, O_WRONLY } from "../../abi/file.ts";
import { SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH } from "../../abi/signal.ts";
import type { Winsize } from "../../abi/structs.ts";
import {
  TIOCPKT_FLUSHREAD,
  TIOCPKT_FLUSHWRITE,
  TIOCPKT_START,
  TIOCPKT_STOP,
  TOSTOP,
  VMIN,
  VTIME,
} from "../../abi/tty.ts";
import type { Reactor, Timer } from "../../host/reactor.ts";
import type { Stat } from "../../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import { type IoctlContext, OpenFile } from "../../vfs/open-file.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDNORM,
  POLLWRNORM,
  type Unsubscribe,
  type Waiter,
  WaitQueue,
} from "../../vfs/poll.ts";
import type { ControllingTerminal, JobControl } from "./job-control.ts";
import { LineDiscipline } from "./line-discipline.ts";
import { masterIoctl, slaveIoctl } from "./tty-ioctl.ts";

/** Major number of the slaves: UNIX98_PTY_SLAVE_MAJOR. */
export const PTS_MAJOR = 136;
/** Output that waits for the master's reader; writers then wait. */
const OUTPUT_MAX = 65_536;
/** Echo that nobody reads is kept up to here and then dropped. */
const ECHO_MAX = 2 * OUTPUT_MAX;
/** The unit of VTIME: a tenth of a second. */
const VTIME_NS = 100_000_000n;
const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;
const HUNG_UP = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;

type WinsizeValue = ReturnType<typeof Winsize.parse>;

/** What a pseudoterminal needs around it. */
export interface PtyContext {
  readonly reactor: Reactor;
  readonly jobControl: JobControl;
  /** What stat(2) tells of the slave's node. */
  readonly stat: () => Stat | Errno;
  /** Both sides are closed: the number is free. */
  readonly released: () => void;
}

/** One pseudoterminal: what its master and its slaves have in common. */
export class Pty implements ControllingTerminal {
  readonly index: number;
  readonly context: PtyContext;
  readonly discipline: LineDiscipline;
  /** Those who wait at the slaves, and at the master. */
  readonly slaveQueue = new WaitQueue();
  readonly masterQueue = new WaitQueue();
  winsize: WinsizeValue = { row: 0, col: 0, xpixel: 0, ypixel: 0 };
  foregroundGroup = 0;
  /** The session it is the controlling terminal of; 0 for none. */
  session = 0;
  /** The slave cannot be opened yet; see unlockpt(3). */
  locked = true;
  /** TIOCPKT: each read of the master begins with a control byte. */
  packetMode = false;
  packetStatus = 0;
  hungUp = false;
  /** The first slave has been opened: a master without slaves then has hung up. */
  everOpened = false;
  exclusive = false;
  #slaves = 0;
  #masterOpen = true;
  #output: Uint8Array[] = [];
  #outputLength = 0;

  constructor(index: number, context: PtyContext) {
    this.index = index;
    this.context = context;
    this.discipline = new LineDiscipline({
      echo: (bytes) => {
        if (this.#outputLength < ECHO_MAX) this.#emit(bytes);
      },
      signal: (signo) => context.jobControl.signalGroup(this.foregroundGroup, signo),
      setStopped: (stopped) => {
        this.tellMaster(stopped ? TIOCPKT_STOP : TIOCPKT_START);
        if (!stopped) this.slaveQueue.wake(WRITABLE);
      },
      flushOutput: () => this.flushOutput(),
    });
  }

  get name(): string {
    return `pts/${this.index}`;
  }

  get rdev(): number {
    return makeDev(PTS_MAJOR, this.index);
  }

  get slaves(): number {
    return this.#slaves;
  }

  get masterOpen(): boolean {
    return this.#masterOpen;
  }

  /** Bytes written and not yet read by the master: TIOCOUTQ. */
  get outputLength(): number {
    return this.#outputLength;
  }

  /** Room for output; none while it is stopped. */
  get outputRoom(): number {
    return this.discipline.stopped ? 0 : Math.max(OUTPUT_MAX - this.#outputLength, 0);
  }

  disassociate(): void {
    this.session = 0;
    this.foregroundGroup = 0;
  }

  open(flags: number): OpenFile | Errno {
    return this.hungUp ? EIO : new PtySlave(this, flags);
  }

  /** Opens a slave for `caller`, whose controlling terminal it becomes if there is none. */
  openFor(flags: number, caller: unknown): OpenFile | Errno {
    if (this.locked || this.hungUp || !this.#masterOpen) return EIO;
    const { jobControl } = this.context;
    if (this.exclusive && !jobControl.mayStealTerminal(caller)) return EBUSY;
    const wants = (flags & O_NOCTTY) === 0 && (flags & O_ACCMODE) !== O_WRONLY;
    if (wants && this.session === 0 && jobControl.isSessionLeader(caller)) {
      if (jobControl.terminal(caller) === undefined) this.becomeControlling(caller);
    }
    return new PtySlave(this, flags);
  }

  /** Makes this the controlling terminal of `caller`'s session, with its group in the foreground. */
  becomeControlling(caller: unknown): void {
    const { jobControl } = this.context;
    if (this.session !== 0) jobControl.setTerminal(this.session, undefined);
    this.session = jobControl.session(caller);
    this.foregroundGroup = jobControl.group(caller);
    jobControl.setTerminal(this.session, this);
  }

  /** What the programs write, as the terminal shows it. @returns how many bytes were taken. */
  write(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.outputRoom);
    if (taken.length > 0) this.#emit(this.discipline.write(taken));
    return taken.length;
  }

  #emit(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#output.push(bytes);
    this.#outputLength += bytes.length;
    this.masterQueue.wake(READABLE);
  }

  /** The next output for the master. */
  takeOutput(count: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let left = count;
    while (left > 0) {
      const first = this.#output[0];
      if (first === undefined) break;
      const part = first.subarray(0, left);
      parts.push(part);
      left -= part.length;
      if (part.length === first.length) this.#output.shift();
      else this.#output[0] = first.subarray(part.length);
    }
    this.#outputLength -= count - left;
    if (count > left) this.slaveQueue.wake(WRITABLE);
    return Buffer.concat(parts);
  }

  /** What the terminal types. @returns how many bytes were taken. */
  type(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.discipline.room);
    this.discipline.type(taken);
    if (taken.length > 0) this.slaveQueue.wake(READABLE);
    return taken.length;
  }

  flushInput(): void {
    this.discipline.flushInput();
    this.tellMaster(TIOCPKT_FLUSHREAD);
    this.masterQueue.wake(WRITABLE);
  }

  flushOutput(): void {
    this.#output = [];
    this.#outputLength = 0;
    this.tellMaster(TIOCPKT_FLUSHWRITE);
    this.slaveQueue.wake(WRITABLE);
  }

  /** A change that a master in packet mode hears of. */
  tellMaster(status: number): void {
    if (!this.packetMode) return;
    this.packetStatus |= status;
    this.masterQueue.wake(POLLPRI | READABLE);
  }

  /** Sets the size, telling the foreground group if it changes. See TIOCSWINSZ. */
  resize(winsize: WinsizeValue): void {
    const before = this.winsize;
    this.winsize = winsize;
    const same =
      before.row === winsize.row &&
      before.col === winsize.col &&
      before.xpixel === winsize.xpixel &&
      before.ypixel === winsize.ypixel;
    if (!same) this.context.jobControl.signalGroup(this.foregroundGroup, SIGWINCH);
  }

  slaveOpened(): void {
    this.#slaves++;
    this.everOpened = true;
    this.masterQueue.wake(WRITABLE);
  }

  slaveClosed(): void {
    this.#slaves--;
    if (this.#slaves === 0) {
      this.exclusive = false;
      this.masterQueue.wake(HUNG_UP);
    }
    this.#releaseIfUnused();
  }

  /** The terminal is gone: the session's leader hears of it, and every slave is at its end. */
  masterClosed(): void {
    this.#masterOpen = false;
    this.hungUp = true;
    const { session, context } = this;
    if (session !== 0) {
      context.jobControl.setTerminal(session, undefined);
      const group = this.foregroundGroup;
      this.disassociate();
      context.jobControl.signalSessionLeader(session, SIGHUP);
      context.jobControl.signalSessionLeader(session, SIGCONT);
      context.jobControl.signalGroup(group, SIGHUP);
      context.jobControl.signalGroup(group, SIGCONT);
    }
    this.slaveQueue.wake(HUNG_UP);
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (this.#slaves === 0 && !this.#masterOpen) this.context.released();
  }

  /**
   * Whether a caller in the background may go on; if not, its group is stopped.
   * @returns `EIO` where a stop would be for ever, `ERESTARTSYS` when the signal is on its way.
   */
  checkBackground(caller: unknown, signo: typeof SIGTTIN | typeof SIGTTOU): Errno | undefined {
    const { jobControl } = this.context;
    if (caller === undefined || this.session === 0) return undefined;
    if (jobControl.terminal(caller) !== this) return undefined;
    const group = jobControl.group(caller);
    if (this.foregroundGroup === 0 || group === this.foregroundGroup) return undefined;
    if (jobControl.blocksOrIgnores(caller, signo)) return signo === SIGTTIN ? EIO : undefined;
    if (jobControl.isOrphaned(group)) return EIO;
    jobControl.signalGroup(group, signo);
    return ERESTARTSYS;
  }
}

/** The terminal's side: what a terminal emulator holds. */
export class PtyMaster extends OpenFile {
  readonly name = "/dev/pts/ptmx";
  readonly pty: Pty;
  readonly #stat: () => Stat | Errno;

  constructor(pty: Pty, flags: number, stat: () => Stat | Errno) {
    super(flags);
    this.pty = pty;
    this.#stat = stat;
  }

  stat(): Stat | Errno {
    return this.#stat();
  }

  /** @returns `EIO` when every slave has been closed and all output has been read. */
  override read(buffer: IoBuffer): Transfer {
    const { pty } = this;
    if (pty.packetMode && pty.packetStatus !== 0 && buffer.length > 0) {
      buffer.put(Uint8Array.of(pty.packetStatus));
      pty.packetStatus = 0;
      return 1;
    }
    if (pty.outputLength === 0) return this.#hungUp ? EIO : EAGAIN;
    if (buffer.length === 0) return 0;
    const prefix = pty.packetMode ? 1 : 0;
    const bytes = pty.takeOutput(buffer.length - prefix);
    if (prefix === 1) buffer.put(Uint8Array.of(0));
    buffer.put(bytes, prefix);
    return bytes.length + prefix;
  }

  override write(buffer: IoBuffer): Transfer {
    if (this.#hungUp && !this.pty.everOpened) return EIO;
    if (buffer.length === 0) return 0;
    const taken = this.pty.type(buffer.take(Math.min(buffer.length, this.pty.discipline.room)));
    return taken === 0 ? EAGAIN : taken;
  }

  override ioctl(request: number, context: IoctlContext): number | Errno {
    return masterIoctl(this.pty, request, context);
  }

  get #hungUp(): boolean {
    return this.pty.everOpened && this.pty.slaves === 0;
  }

  override poll(): number {
    const { pty } = this;
    const status = pty.packetMode && pty.packetStatus !== 0;
    return (
      (pty.outputLength > 0 || status ? READABLE : 0) |
      (status ? POLLPRI : 0) |
      (pty.discipline.room > 0 ? WRITABLE : 0) |
      (this.#hungUp ? POLLHUP : 0)
    );
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.pty.masterQueue.subscribe(events, waiter);
  }

  /** A slave for the holder of the master, without a path: TIOCGPTPEER. */
  openPeer(flags: number): OpenFile | Errno {
    return this.pty.hungUp ? EIO : new PtySlave(this.pty, flags);
  }

  protected override release(): void {
    this.pty.masterClosed();
  }
}

/** The programs' side: a terminal like any other. */
export class PtySlave extends OpenFile {
  readonly pty: Pty;
  /** How long a raw read with VTIME still waits; see "non-canonical mode" in termios(3). */
  #timer: { readonly timer: Timer; readonly waiting: number } | undefined;
  #expired = false;

  constructor(pty: Pty, flags: number) {
    super(flags);
    this.pty = pty;
    pty.slaveOpened();
  }

  get name(): string {
    return `/dev/${this.pty.name}`;
  }

  stat(): Stat | Errno {
    return this.pty.context.stat();
  }

  override read(buffer: IoBuffer, caller?: unknown): Transfer {
    const { pty } = this;
    if (pty.hungUp) return 0;
    const refused = pty.checkBackground(caller, SIGTTIN);
    if (refused !== undefined) return refused;
    if (buffer.length === 0) return 0;
    const bytes = this.#take(buffer.length);
    if (bytes instanceof Errno) return bytes;
    buffer.put(bytes);
    pty.masterQueue.wake(WRITABLE);
    return bytes.length;
  }

  #take(count: number): Uint8Array | Errno {
    const { discipline } = this.pty;
    const { cc, lflag } = discipline.termios;
    const ICANON = 2;
    if (lflag & ICANON) return discipline.read(count, 1) ?? EAGAIN;
    const [least, tenths] = [cc[VMIN] ?? 0, cc[VTIME] ?? 0];
    const nonblocking = (this.flags & O_NONBLOCK) !== 0;
    if (least === 0 && tenths === 0) return discipline.read(count, 0) ?? new Uint8Array(0);
    const enough = tenths > 0 && least === 0 ? 1 : least;
    const all = discipline.read(count, enough);
    if (all !== undefined) {
      this.#stopTimer();
      return all;
    }
    const some = discipline.available;
    if (this.#expired || (nonblocking && some > 0)) {
      this.#stopTimer();
      return discipline.read(count, 0) ?? new Uint8Array(0);
    }
    if (tenths > 0 && !nonblocking && (least === 0 || some > 0)) this.#startTimer(tenths, some);
    return EAGAIN;
  }

  /** With VMIN the timer starts afresh at each byte, without it at the read. */
  #startTimer(tenths: number, waiting: number): void {
    if (this.#timer?.waiting === waiting) return;
    this.#timer?.timer.cancel();
    const { reactor } = this.pty.context;
    const timer = reactor.at(reactor.now() + BigInt(tenths) * VTIME_NS, () => {
      this.#timer = undefined;
      this.#expired = true;
      this.pty.slaveQueue.wake(READABLE);
      this.#expired = false;
    });
    this.#timer = { timer, waiting };
  }

  #stopTimer(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  override write(buffer: IoBuffer, caller?: unknown): Transfer {
    const { pty } = this;
    if (pty.hungUp) return EIO;
    if (pty.discipline.termios.lflag & TOSTOP) {
      const refused = pty.checkBackground(caller, SIGTTOU);
      if (refused !== undefined) return refused;
    }
    if (buffer.length === 0) return 0;
    const taken = pty.write(buffer.take(Math.min(buffer.length, pty.outputRoom)));
    return taken === 0 ? EAGAIN : taken;
  }

  override ioctl(request: number, context: IoctlContext): number | Errno {
    return this.pty.hungUp ? EIO : slaveIoctl(this.pty, request, context);
  }

  override poll(): number {
    const { pty } = this;
    if (pty.hungUp) return HUNG_UP;
    return (pty.discipline.readable ? READABLE : 0) | (pty.outputRoom > 0 ? WRITABLE : 0);
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.pty.slaveQueue.subscribe(events, waiter);
  }

  protected override release(): void {
    this.#stopTimer();
    this.pty.slaveClosed();
  }
}

/** Opens `/dev/tty`: the controlling terminal of the caller's session. @returns `ENXIO` without one. */
export function openControllingTerminal(
  jobControl: JobControl,
  flags: number,
  caller: unknown,
): OpenFile | Errno {
  return jobControl.terminal(caller)?.open(flags) ?? ENXIO;
}

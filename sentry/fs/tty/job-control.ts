/**
 * What terminals need of the kernel: sessions, process groups and their signals. The kernel implements it;
 * callers are its tasks, opaque here. Source: credentials(7), tty_ioctl(4), and POSIX chapter 11.
 */
import type { Errno } from "../../abi/errno.ts";

/** Something that can be a session's controlling terminal, as the kernel holds it. */
export interface ControllingTerminal {
  /** The foreground process group, 0 for none. */
  readonly foregroundGroup: number;
  /** Name below `/dev`, such as `pts/0`; `/proc/PID/stat` wants the device number. */
  readonly name: string;
  /** Device number as `st_rdev` shows it. */
  readonly rdev: number;
  /**
   * The session's leader ends, or gives the terminal up with TIOCNOTTY: the terminal belongs to no session
   * any more. The kernel signals the foreground group (SIGHUP, SIGCONT) itself, before.
   */
  disassociate(): void;
  /** The kernel opens `/dev/tty`: another description of this terminal. */
  open(flags: number): import("../../vfs/open-file.ts").OpenFile | Errno;
}

/** The kernel as terminals see it. */
export interface JobControl {
  /** The session `caller` is in. */
  session(caller: unknown): number;
  /** The process group `caller` is in. */
  group(caller: unknown): number;
  /** Whether `caller`'s process leads its session. */
  isSessionLeader(caller: unknown): boolean;
  /** The controlling terminal of `caller`'s session. */
  terminal(caller: unknown): ControllingTerminal | undefined;
  /** Makes `terminal` the controlling terminal of `session`, or takes it away. */
  setTerminal(session: number, terminal: ControllingTerminal | undefined): void;
  /** The session that process group `group` belongs to; undefined when there is no such group. */
  sessionOf(group: number): number | undefined;
  /** Whether `caller` blocks or ignores `signo`: then a terminal does not stop it. */
  blocksOrIgnores(caller: unknown, signo: number): boolean;
  /** Whether nobody outside `group` but in its session could continue it. */
  isOrphaned(group: number): boolean;
  /** Whether `caller` may take another session's terminal (CAP_SYS_ADMIN). */
  mayStealTerminal(caller: unknown): boolean;
  /** Sends `signo` from the kernel to every process of `group`; harmless when there is none. */
  signalGroup(group: number, signo: number): void;
  /** Sends `signo` from the kernel to the leader of `session`. */
  signalSessionLeader(session: number, signo: number): void;
}

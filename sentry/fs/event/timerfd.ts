import { EINVAL, EPERM, Errno } from "../../abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../../abi/file.ts";
import { close, read } from "../../host/io.ts";
import type { Reactor } from "../../host/reactor.ts";
import { type TimerSetting, timerfdCreate, timerfdGet, timerfdSet } from "../../host/time.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat } from "../../vfs/anonymous.ts";
import { HostBackedFile, HostReadiness } from "../../vfs/host-readiness.ts";
import type { Stat } from "../../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import type { HostBacking } from "../../vfs/open-file.ts";

const CLOCKS: ReadonlySet<number> = new Set([0, 1, 7]); // REALTIME, MONOTONIC, BOOTTIME
const ALARM_CLOCKS: ReadonlySet<number> = new Set([8, 9]);
const ROOT = { uid: 0, gid: 0 };

/** A timer that is read. See timerfd_create(2). */
export class TimerFile extends HostBackedFile {
  readonly name = "anon_inode:[timerfd]";
  readonly #fd: number;
  readonly #stat = anonymousStat(ANON_INODEFS, anonymousIno(), 0o600, ROOT);

  private constructor(flags: number, reactor: Reactor, fd: number) {
    super(flags, new HostReadiness(reactor, fd));
    this.#fd = fd;
  }

  /** @returns `EINVAL` for an unknown clock, `EPERM` for one that would wake the machine. */
  static create(reactor: Reactor, clock: number, flags: number): TimerFile | Errno {
    if ((flags & ~O_NONBLOCK) !== 0) return EINVAL;
    if (ALARM_CLOCKS.has(clock)) return EPERM;
    if (!CLOCKS.has(clock)) return EINVAL;
    const fd = timerfdCreate(clock);
    return fd instanceof Errno ? fd : new TimerFile(O_RDWR | flags, reactor, fd);
  }

  /** See timerfd_settime(2). @returns what was set before. */
  set(flags: number, setting: TimerSetting): TimerSetting | Errno {
    return timerfdSet(this.#fd, flags, setting);
  }

  /** See timerfd_gettime(2). */
  get(): TimerSetting | Errno {
    return timerfdGet(this.#fd);
  }

  stat(): Stat {
    return this.#stat;
  }

  override read(buffer: IoBuffer): Transfer {
    return read(this.#fd, buffer.address, buffer.length);
  }

  override backing(): HostBacking {
    return { fd: this.#fd, offset: 0, direct: true };
  }

  protected override release(): void {
    this.readiness.close();
    close(this.#fd);
  }
}

import { S_IFREG } from "../abi/file.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat } from "../vfs/anonymous.ts";
import type { Stat } from "../vfs/inode.ts";
import { OpenFile } from "../vfs/open-file.ts";
import { POLLIN, POLLRDNORM, type Unsubscribe, type Waiter } from "../vfs/poll.ts";
import type { Process } from "./process.ts";

/** A descriptor that stands for a process: pidfd_open(2). Readable once the process has ended. */
export class PidFile extends OpenFile {
  readonly process: Process;
  readonly name = "anon_inode:[pidfd]";
  readonly #ino = anonymousIno();

  /** @param flags O_NONBLOCK or 0. */
  constructor(process: Process, flags: number) {
    super(0o2 | flags);
    this.process = process;
  }

  stat(): Stat {
    return anonymousStat(ANON_INODEFS, this.#ino, S_IFREG | 0o600, { uid: 0, gid: 0 });
  }

  override poll(): number {
    const ended = this.process.state === "zombie" || this.process.state === "dead";
    return ended ? POLLIN | POLLRDNORM : 0;
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.process.exitEvents.subscribe(events, waiter);
  }

  protected release(): void {}
}

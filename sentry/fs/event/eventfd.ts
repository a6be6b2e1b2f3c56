import { EINVAL, Errno } from "../../abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../../abi/file.ts";
import { close, eventfd, read, write } from "../../host/io.ts";
import type { Reactor } from "../../host/reactor.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat } from "../../vfs/anonymous.ts";
import { HostBackedFile, HostReadiness } from "../../vfs/host-readiness.ts";
import type { Stat } from "../../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import type { HostBacking } from "../../vfs/open-file.ts";

const EFD_SEMAPHORE = 1;
const ROOT = { uid: 0, gid: 0 };

/** A counter to wait for. See eventfd(2). */
export class EventFile extends HostBackedFile {
  readonly name = "anon_inode:[eventfd]";
  readonly #fd: number;
  readonly #stat = anonymousStat(ANON_INODEFS, anonymousIno(), 0o600, ROOT);

  private constructor(flags: number, reactor: Reactor, fd: number) {
    super(flags, new HostReadiness(reactor, fd));
    this.#fd = fd;
  }

  /** @param flags `EFD_SEMAPHORE | O_NONBLOCK`. */
  static create(reactor: Reactor, initial: number, flags: number): EventFile | Errno {
    if ((flags & ~(EFD_SEMAPHORE | O_NONBLOCK)) !== 0) return EINVAL;
    const fd = eventfd(initial, flags & EFD_SEMAPHORE);
    return fd instanceof Errno ? fd : new EventFile(O_RDWR | (flags & O_NONBLOCK), reactor, fd);
  }

  stat(): Stat {
    return this.#stat;
  }

  override read(buffer: IoBuffer): Transfer {
    return read(this.#fd, buffer.address, buffer.length);
  }

  override write(buffer: IoBuffer): Transfer {
    return write(this.#fd, buffer.address, buffer.length);
  }

  override backing(): HostBacking {
    return { fd: this.#fd, offset: 0, direct: true };
  }

  protected override release(): void {
    this.readiness.close();
    close(this.#fd);
  }
}

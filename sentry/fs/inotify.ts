/** Watching files for changes made through the container's own tree. See inotify(7). */
import type { ByteString } from "../abi/bytes.ts";
import { EAGAIN, EEXIST, EINVAL, ENOSPC, ENOTTY, type Errno } from "../abi/errno.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat, type Owner } from "../vfs/anonymous.ts";
import type { Inode, Stat } from "../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { IN_DELETE_SELF, type Watcher } from "../vfs/notify.ts";
import { type IoctlContext, OpenFile } from "../vfs/open-file.ts";
import { POLLIN, POLLRDNORM, type Unsubscribe, type Waiter, WaitQueue } from "../vfs/poll.ts";

const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_ALL_EVENTS = 0xfff;
const IN_ISDIR = 0x40000000;
const IN_MASK_CREATE = 0x10000000;
const IN_MASK_ADD = 0x20000000;
const IN_ONESHOT = 0x80000000;

/** `fs.inotify.max_queued_events` and `max_user_watches`. */
const QUEUE_MAX = 16384;
const WATCHES_MAX = 65536;
const HEADER = 16;
const FIONREAD = 0x541b;

class Watch implements Watcher {
  readonly descriptor: number;
  readonly inode: Inode;
  mask: number;
  readonly #instance: InotifyFile;

  constructor(instance: InotifyFile, descriptor: number, inode: Inode, mask: number) {
    this.#instance = instance;
    this.descriptor = descriptor;
    this.inode = inode;
    this.mask = mask;
  }

  notify(mask: number, name: ByteString | undefined, cookie: number): void {
    if ((mask & this.mask & IN_ALL_EVENTS) !== 0) {
      this.#instance.queue(this.descriptor, mask, cookie, name ?? "");
      if ((this.mask & IN_ONESHOT) !== 0) this.#instance.forget(this);
    }
    if ((mask & IN_DELETE_SELF) !== 0) this.#instance.forget(this);
  }
}

/** An inotify instance: its watches, and the events nobody has read yet. */
export class InotifyFile extends OpenFile {
  readonly name = "anon_inode:inotify";
  readonly #stat: Stat;
  readonly #byDescriptor = new Map<number, Watch>();
  readonly #byInode = new Map<Inode, Watch>();
  readonly #waiters = new WaitQueue();
  readonly #events: Buffer[] = [];
  #nextDescriptor = 1;

  constructor(flags: number, owner: Owner) {
    super(flags);
    this.#stat = anonymousStat(ANON_INODEFS, anonymousIno(), 0o600, owner);
  }

  stat(): Stat {
    return this.#stat;
  }

  /** See inotify_add_watch(2). @returns the watch descriptor, `EEXIST`, `EINVAL`, `ENOSPC`. */
  add(inode: Inode, mask: number): number | Errno {
    if ((mask & IN_ALL_EVENTS) === 0) return EINVAL;
    if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return EINVAL;
    const known = this.#byInode.get(inode);
    if (known !== undefined) {
      if ((mask & IN_MASK_CREATE) !== 0) return EEXIST;
      known.mask = (mask & IN_MASK_ADD) !== 0 ? known.mask | mask : mask;
      return known.descriptor;
    }
    if (this.#byInode.size >= WATCHES_MAX) return ENOSPC;
    const watch = new Watch(this, this.#nextDescriptor++, inode, mask);
    this.#byInode.set(inode, watch);
    this.#byDescriptor.set(watch.descriptor, watch);
    inode.watchers ??= new Set();
    inode.watchers.add(watch);
    return watch.descriptor;
  }

  /** See inotify_rm_watch(2). */
  remove(descriptor: number): Errno | undefined {
    const watch = this.#byDescriptor.get(descriptor);
    if (watch === undefined) return EINVAL;
    this.forget(watch);
    return undefined;
  }

  /** The watch ends, which is an event of its own. */
  forget(watch: Watch): void {
    if (!this.#byDescriptor.delete(watch.descriptor)) return;
    this.#unhook(watch);
    this.queue(watch.descriptor, IN_IGNORED, 0, "");
  }

  #unhook({ inode }: Watch): void {
    const watch = this.#byInode.get(inode);
    this.#byInode.delete(inode);
    if (watch !== undefined) inode.watchers?.delete(watch);
    if (inode.watchers?.size === 0) inode.watchers = undefined;
  }

  /** Appends an event, unless it repeats the last one. */
  queue(descriptor: number, mask: number, cookie: number, name: ByteString): void {
    if (this.#events.length > QUEUE_MAX) return;
    const overflow = this.#events.length === QUEUE_MAX;
    const event = overflow
      ? encode(-1, IN_Q_OVERFLOW, 0, "")
      : encode(descriptor, mask & (IN_ALL_EVENTS | IN_ISDIR | IN_IGNORED), cookie, name);
    if (this.#events.at(-1)?.equals(event)) return;
    this.#events.push(event);
    this.#waiters.wake(POLLIN | POLLRDNORM);
  }

  override read(buffer: IoBuffer): Transfer {
    let at = 0;
    for (;;) {
      const event = this.#events[0];
      if (event === undefined) return at === 0 ? EAGAIN : at;
      if (at + event.length > buffer.length) return at === 0 ? EINVAL : at;
      buffer.put(event, at);
      at += event.length;
      this.#events.shift();
    }
  }

  override ioctl(request: number, context: IoctlContext): number | Errno {
    if (request !== FIONREAD) return ENOTTY;
    const bytes = new Uint8Array(4);
    const waiting = this.#events.reduce((sum, event) => sum + event.length, 0);
    new DataView(bytes.buffer).setUint32(0, waiting, true);
    return context.copyOut(bytes) ?? 0;
  }

  override poll(): number {
    return this.#events.length > 0 ? POLLIN | POLLRDNORM : 0;
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.#waiters.subscribe(events, waiter);
  }

  protected release(): void {
    for (const watch of this.#byDescriptor.values()) this.#unhook(watch);
    this.#byDescriptor.clear();
    this.#events.length = 0;
  }
}

/** `struct inotify_event`: the name is padded with zeroes to a multiple of the header's size. */
function encode(descriptor: number, mask: number, cookie: number, name: ByteString): Buffer {
  const length = name === "" ? 0 : Math.ceil((name.length + 1) / HEADER) * HEADER;
  const bytes = Buffer.alloc(HEADER + length);
  bytes.writeInt32LE(descriptor, 0);
  bytes.writeUInt32LE(mask >>> 0, 4);
  bytes.writeUInt32LE(cookie >>> 0, 8);
  bytes.writeUInt32LE(length, 12);
  bytes.write(name, HEADER, "latin1");
  return bytes;
}

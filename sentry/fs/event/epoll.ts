/**
 * Guest epoll instances. Behind each is an epoll instance of the host, in which files with a host descriptor
 * are registered with the guest's own flags and data: level, edge and one-shot are then exact, whoever moved
 * the bytes, and a trusted guest may wait on the host's instance itself. Files the sentry implements ("soft":
 * terminals, signalfds, listeners, other epoll instances) have a ready list here, and ring a bell: an eventfd
 * in the host's instance that is readable while the list is not empty. So the host's instance alone says
 * whether anything is ready.
 */
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM, Errno } from "../../abi/errno.ts";
import { O_RDWR } from "../../abi/file.ts";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  EPOLLWAKEUP,
  type EpollEvent,
  HostEpoll,
} from "../../host/epoll.ts";
import { close, dup, eventfd, readBytes, writeBytes } from "../../host/io.ts";
import type { Reactor } from "../../host/reactor.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat } from "../../vfs/anonymous.ts";
import { HostBackedFile, HostReadiness } from "../../vfs/host-readiness.ts";
import type { Stat } from "../../vfs/inode.ts";
import { type Lease, OpenFile } from "../../vfs/open-file.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, type Unsubscribe } from "../../vfs/poll.ts";

/** How deep epoll instances may contain each other: EP_MAX_NESTS of `fs/eventpoll.c`. */
const MAX_NESTING = 4;
/** What one instance may watch, as `/proc/sys/fs/epoll/max_user_watches` limits a user. */
const MAX_WATCHES = 1 << 17;
/** Bits that are not events but say how to report them. */
const MODES = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
const EXCLUSIVE_OK = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP;
const ROOT = { uid: 0, gid: 0 };

const HALF = 2 ** 32;
const halfOfBell = () => BigInt(Math.floor(Math.random() * HALF));
/**
 * The data of the bell's reports, by which whoever waits on a host's instance tells them from the guest's.
 * A number that no program has by chance; one that has it by intent confuses itself.
 */
export const BELL: bigint = (halfOfBell() << 32n) | halfOfBell();

/** One registration: a descriptor number and the description it referred to at the time. */
interface Item {
  readonly owner: Epoll;
  readonly file: OpenFile;
  events: number;
  data: bigint;
  /** One-shot, and shot. */
  spent: boolean;
  /** What the host's instance knows it by, and whether that descriptor is the item's own. */
  host: { readonly fd: number; readonly own: boolean } | undefined;
  /** Ends the wait on a soft file. */
  soft: Unsubscribe | undefined;
  readonly cleanups: Unsubscribe[];
}

export class Epoll extends HostBackedFile {
  readonly name = "anon_inode:[eventpoll]";
  readonly #host: HostEpoll;
  readonly #stat = anonymousStat(ANON_INODEFS, anonymousIno(), 0o600, ROOT);
  readonly #items = new Map<OpenFile, Map<number, Item>>();
  #count = 0;
  readonly #hostFds = new Set<number>();
  /** The registrations of this instance in others. */
  readonly #containers = new Set<Item>();
  /** Those of other instances in this one. */
  readonly #nested = new Set<Item>();
  /** Soft items that may be ready, in the order in which they became so. */
  readonly #ready = new Set<Item>();
  #bell: number | undefined;

  private constructor(reactor: Reactor, host: HostEpoll) {
    super(O_RDWR, new HostReadiness(reactor, host.fd));
    this.#host = host;
  }

  static create(reactor: Reactor): Epoll | Errno {
    const host = HostEpoll.create();
    return host instanceof Errno ? host : new Epoll(reactor, host);
  }

  stat(): Stat {
    return this.#stat;
  }

  /**
   * See epoll_ctl(2).
   * @param fd the guest's descriptor number, which together with `file` names the registration.
   * @returns `EEXIST`, `ENOENT`, `EPERM` for a file that cannot be waited for, `EINVAL`, `ELOOP`, `ENOSPC`.
   */
  control(
    operation: number,
    fd: number,
    file: OpenFile,
    events: number,
    data: bigint,
  ): Errno | undefined {
    if (!canPoll(file)) return EPERM;
    if (file === this) return EINVAL;
    const wanted = (events & ~EPOLLWAKEUP) >>> 0;
    const exclusive = (wanted & EPOLLEXCLUSIVE) !== 0;
    if (exclusive && operation === EPOLL_CTL_MOD) return EINVAL;
    if (exclusive && operation === EPOLL_CTL_ADD) {
      if (file instanceof Epoll || (wanted & ~EXCLUSIVE_OK) !== 0) return EINVAL;
    }
    const item = this.#items.get(file)?.get(fd);
    switch (operation) {
      case EPOLL_CTL_ADD:
        return item === undefined ? this.#add(fd, file, wanted, data) : EEXIST;
      case EPOLL_CTL_MOD:
        if (item === undefined) return ENOENT;
        if (item.events & EPOLLEXCLUSIVE) return EINVAL;
        this.#modify(item, wanted, data);
        return undefined;
      case EPOLL_CTL_DEL:
        if (item === undefined) return ENOENT;
        this.#remove(fd, item);
        return undefined;
      default:
        return EINVAL;
    }
  }

  /** What is ready now, at most `maximum` reports. See epoll_wait(2). */
  collect(maximum: number): EpollEvent[] {
    this.#look();
    const ready = this.#host.collect(maximum);
    const reports = ready.filter(({ data }) => data !== BELL);
    if (reports.length < ready.length) reports.push(...this.collectSoft(maximum - reports.length));
    return reports;
  }

  /** What is ready of the files that the host knows nothing of, at most `maximum` reports. */
  collectSoft(maximum: number): EpollEvent[] {
    const reports: EpollEvent[] = [];
    for (const item of [...this.#ready]) {
      if (reports.length >= maximum) break;
      const events = softEvents(item);
      if (events === 0) {
        this.#unlist(item);
        continue;
      }
      reports.push({ events, data: item.data });
      if (item.events & EPOLLONESHOT) item.spent = true;
      if (item.events & (EPOLLET | EPOLLONESHOT)) this.#unlist(item);
      else {
        // Level-triggered: stays, behind the others.
        this.#ready.delete(item);
        this.#ready.add(item);
      }
    }
    return reports;
  }

  /** The host's instance, for guests that wait themselves. */
  override lease(): Lease | undefined {
    return this.#nested.size > 0 ? undefined : { fd: this.#host.fd, waits: true };
  }

  /** The bell may ring for nothing, so that the host alone is not to be asked. */
  override get pollFd(): undefined {
    return undefined;
  }

  override poll(): number {
    this.#prune();
    this.#look();
    return this.readiness.poll();
  }

  protected override release(): void {
    for (const items of this.#items.values()) {
      for (const item of items.values()) this.#forget(item);
    }
    this.#items.clear();
    this.readiness.close();
    this.#host.close();
    if (this.#bell !== undefined) close(this.#bell);
  }

  #add(fd: number, file: OpenFile, events: number, data: bigint): Errno | undefined {
    if (file instanceof Epoll) {
      if (file.#contains(this)) return ELOOP;
      if (file.#nestingBelow() + 1 + this.#nestingAbove() > MAX_NESTING) return ELOOP;
    }
    if (this.#count >= MAX_WATCHES) return ENOSPC;
    const state = { spent: false, host: undefined, soft: undefined };
    const item: Item = { owner: this, file, events, data, ...state, cleanups: [] };
    const error = this.#attach(item);
    if (error !== undefined) {
      this.#detach(item);
      return error;
    }
    const items = this.#items.get(file) ?? new Map<number, Item>();
    this.#items.set(file, items.set(fd, item));
    this.#count++;
    if (file instanceof Epoll) {
      file.#containers.add(item);
      this.#nested.add(item);
    }
    item.cleanups.push(file.onRelease(() => this.#remove(fd, item)));
    if (file instanceof HostBackedFile) {
      item.cleanups.push(
        file.readiness.onAttach(() => {
          this.#detach(item);
          this.#attach(item);
        }),
      );
    }
    return undefined;
  }

  #modify(item: Item, events: number, data: bigint): void {
    item.events = events;
    item.data = data;
    item.spent = false;
    if (item.host !== undefined) {
      this.#host.control(EPOLL_CTL_MOD, item.host.fd, events, item.data);
      return;
    }
    // The events to listen for may have changed.
    this.#detach(item);
    this.#attach(item);
  }

  #remove(fd: number, item: Item): void {
    const items = this.#items.get(item.file);
    items?.delete(fd);
    if (items?.size === 0) this.#items.delete(item.file);
    this.#forget(item);
  }

  #forget(item: Item): void {
    this.#detach(item);
    this.#count--;
    if (item.file instanceof Epoll) item.file.#containers.delete(item);
    this.#nested.delete(item);
    for (const cleanup of item.cleanups) cleanup();
  }

  /** Lets the host, or the file itself, tell of the item's events from now on. */
  #attach(item: Item): Errno | undefined {
    const { file } = item;
    // What the host says of an instance may be no more than its bell's ringing for nothing.
    const hosted = file instanceof HostBackedFile && !(file instanceof Epoll);
    const fd = hosted ? file.readiness.fd : undefined;
    if (fd !== undefined) return this.#attachHost(item, fd);
    if (this.#bell === undefined) {
      const bell = eventfd(0, 0);
      if (bell instanceof Errno) return bell;
      this.#bell = bell;
      this.#host.control(EPOLL_CTL_ADD, bell, POLLIN, BELL);
    }
    const events = item.events & ~MODES;
    item.soft = file.subscribe(events, () => this.#becameReady(item));
    if (file.poll() & (events | POLLERR | POLLHUP)) this.#becameReady(item);
    return undefined;
  }

  #attachHost(item: Item, fd: number): Errno | undefined {
    // The host keeps one registration per descriptor, the guest may have several (dup) of the same.
    const own = this.#hostFds.has(fd);
    const registered = own ? dup(fd) : fd;
    if (registered instanceof Errno) return registered;
    const error = this.#host.control(
      EPOLL_CTL_ADD,
      registered,
      item.spent ? 0 : item.events,
      item.data,
    );
    if (error !== undefined) {
      if (own) close(registered);
      return error;
    }
    this.#hostFds.add(registered);
    item.host = { fd: registered, own };
    return undefined;
  }

  #detach(item: Item): void {
    item.soft?.();
    item.soft = undefined;
    this.#unlist(item);
    if (item.host === undefined) return;
    this.#host.control(EPOLL_CTL_DEL, item.host.fd, 0, 0n);
    this.#hostFds.delete(item.host.fd);
    if (item.host.own) close(item.host.fd);
    item.host = undefined;
  }

  #becameReady(item: Item): void {
    if (item.spent) return;
    const wasEmpty = this.#ready.size === 0;
    this.#ready.add(item);
    if (wasEmpty && this.#bell !== undefined) {
      writeBytes(this.#bell, new Uint8Array(new BigUint64Array([1n]).buffer));
    }
  }

  #unlist(item: Item): void {
    if (!this.#ready.delete(item) || this.#ready.size > 0 || this.#bell === undefined) return;
    readBytes(this.#bell, new Uint8Array(8));
  }

  /** Finds what has become ready in instances that this one contains, before the loop has said so. */
  #look(): void {
    for (const item of this.#nested) {
      if ((item.events & EPOLLET) === 0 && softEvents(item) !== 0) this.#becameReady(item);
    }
  }

  /** Drops soft items that are not ready any more, so that the bell tells the truth. */
  #prune(): void {
    for (const item of [...this.#ready]) if (softEvents(item) === 0) this.#unlist(item);
  }

  #contains(other: Epoll): boolean {
    for (const file of this.#items.keys()) {
      if (file instanceof Epoll && (file === other || file.#contains(other))) return true;
    }
    return false;
  }

  #nestingBelow(): number {
    let deepest = 0;
    for (const file of this.#items.keys()) {
      if (file instanceof Epoll) deepest = Math.max(deepest, file.#nestingBelow() + 1);
    }
    return deepest;
  }

  #nestingAbove(): number {
    let highest = 0;
    for (const item of this.#containers) {
      highest = Math.max(highest, item.owner.#nestingAbove() + 1);
    }
    return highest;
  }
}

function softEvents(item: Item): number {
  return item.file.poll() & ((item.events & ~MODES) | POLLERR | POLLHUP);
}

/** Whether a file can be waited for: those that cannot never override what "always ready" means. */
export function canPoll(file: OpenFile): boolean {
  return file.subscribe !== OpenFile.prototype.subscribe;
}

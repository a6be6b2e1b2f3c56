/** What semaphore sets, message queues and segments have in common: keys, identifiers, owners. See sysvipc(7). */
import { EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, Errno } from "../abi/errno.ts";
import { CAP_IPC_OWNER, CAP_SYS_ADMIN, type Credentials, isCapable } from "../vfs/credentials.ts";
import { POLLIN, type Unsubscribe, type Waiter, WaitQueue } from "../vfs/poll.ts";

export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const IPC_PRIVATE = 0;

/** Permissions to ask {@link IpcObject.allows} for. */
export const IPC_READ = 0o444;
export const IPC_WRITE = 0o222;

/** The low bits of an identifier are a place in its table, the others count how often places were used. */
const PLACES = 32768;
const SEQUENCES = 65536;

/** Seconds since 1970, as the `_ds` structures count. */
export function ipcNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** What makes an object. */
export interface IpcCreation {
  readonly id: number;
  readonly key: number;
  readonly mode: number;
  readonly credentials: Credentials;
  readonly pid: number;
}

/** `struct ipc_perm`, and those who wait for a change. */
export abstract class IpcObject {
  readonly id: number;
  key: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  /** Permission bits. */
  mode: number;
  ctime: number = ipcNow();
  removed = false;
  readonly #waiters = new WaitQueue();

  constructor({ id, key, mode, credentials: { euid, egid } }: IpcCreation) {
    this.id = id;
    this.key = key;
    this.mode = mode & 0o777;
    this.uid = euid;
    this.cuid = euid;
    this.gid = egid;
    this.cgid = egid;
  }

  get sequence(): number {
    return Math.floor(this.id / PLACES);
  }

  /** Whether `wanted`, permission bits in any of the three places, is granted. */
  allows(credentials: Credentials, wanted: number): boolean {
    const { euid, egid, groups } = credentials;
    const requested = ((wanted >> 6) | (wanted >> 3) | wanted) & 7;
    const member = (gid: number) => egid === gid || groups.includes(gid);
    let granted = this.mode;
    if (euid === this.cuid || euid === this.uid) granted >>= 6;
    else if (member(this.cgid) || member(this.gid)) granted >>= 3;
    return (requested & ~granted) === 0 || isCapable(credentials, CAP_IPC_OWNER);
  }

  /** Whether the caller may change or remove it. */
  isOwnedBy(credentials: Credentials): boolean {
    const { euid } = credentials;
    return euid === this.cuid || euid === this.uid || isCapable(credentials, CAP_SYS_ADMIN);
  }

  /** IPC_SET's part that all kinds share. */
  setOwner(uid: number, gid: number, mode: number): void {
    this.uid = uid;
    this.gid = gid;
    this.mode = (this.mode & ~0o777) | (mode & 0o777);
    this.ctime = ipcNow();
  }

  /** Tells those who wait that something has changed. */
  changed(): void {
    this.#waiters.wake(POLLIN);
  }

  poll(): number {
    return POLLIN;
  }

  subscribe(_events: number, waiter: Waiter): Unsubscribe {
    return this.#waiters.subscribe(POLLIN, waiter);
  }
}

/** All objects of one kind. */
export class IpcTable<T extends IpcObject> {
  readonly #objects = new Map<number, T>();
  readonly #byKey = new Map<number, T>();
  readonly #limit: number;
  #nextPlace = 0;
  #sequence = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** In the order of their places. */
  all(): readonly T[] {
    return [...this.#objects].sort(([a], [b]) => a - b).map(([, object]) => object);
  }

  /** The highest place in use, which the `_INFO` commands return; 0 for none. */
  get highest(): number {
    return Math.max(0, ...this.#objects.keys());
  }

  /**
   * The identifier for a key: semget(2), msgget(2), shmget(2).
   * @param fits what speaks against an object that is there already.
   * @returns `EEXIST`, `ENOENT`, `EACCES`, `ENOSPC`, or what `make` or `fits` say.
   */
  get(
    creation: Omit<IpcCreation, "id" | "mode">,
    flags: number,
    fits: (object: T) => Errno | undefined,
    make: (creation: IpcCreation) => T | Errno,
  ): number | Errno {
    const { key, credentials } = creation;
    const known = key === IPC_PRIVATE ? undefined : this.#byKey.get(key);
    if (known === undefined) {
      if (key !== IPC_PRIVATE && (flags & IPC_CREAT) === 0) return ENOENT;
      return this.#create({ ...creation, mode: flags & 0o777 }, make);
    }
    if ((flags & IPC_CREAT) !== 0 && (flags & IPC_EXCL) !== 0) return EEXIST;
    const misfit = fits(known);
    if (misfit !== undefined) return misfit;
    return known.allows(credentials, flags & 0o777) ? known.id : EACCES;
  }

  #create(parts: Omit<IpcCreation, "id">, make: (creation: IpcCreation) => T | Errno) {
    if (this.#objects.size >= this.#limit) return ENOSPC;
    while (this.#objects.has(this.#nextPlace)) this.#advance();
    const place = this.#nextPlace;
    const object = make({ ...parts, id: this.#sequence * PLACES + place });
    if (object instanceof Errno) return object;
    this.#advance();
    this.#objects.set(place, object);
    if (object.key !== IPC_PRIVATE) this.#byKey.set(object.key, object);
    return object.id;
  }

  #advance(): void {
    this.#nextPlace = (this.#nextPlace + 1) % PLACES;
    if (this.#nextPlace === 0) this.#sequence = (this.#sequence + 1) % SEQUENCES;
  }

  /** @returns `EINVAL` for an identifier that is not in use. */
  find(id: number): T | Errno {
    const object = id < 0 ? undefined : this.#objects.get(id % PLACES);
    return object?.id === id ? object : EINVAL;
  }

  /** The object in a place, whatever its identifier: the `_STAT` commands. */
  at(place: number): T | Errno {
    return this.#objects.get(place) ?? EINVAL;
  }

  /** The object if the caller may change or remove it. @returns `EINVAL`, `EPERM`. */
  owned(id: number, credentials: Credentials): T | Errno {
    const object = this.find(id);
    if (object instanceof Errno) return object;
    return object.isOwnedBy(credentials) ? object : EPERM;
  }

  /** Nobody finds it by its key any more. */
  forgetKey(object: T): void {
    if (object.key !== IPC_PRIVATE) this.#byKey.delete(object.key);
    object.key = IPC_PRIVATE;
  }

  /** Its identifier is gone, and whoever waits for it hears so. */
  remove(object: T): void {
    this.forgetKey(object);
    this.#objects.delete(object.id % PLACES);
    object.removed = true;
    object.changed();
  }
}

import { EAGAIN, EINVAL, ENOPROTOOPT, ENOTTY, EOPNOTSUPP, Errno } from "../abi/errno.ts";
import { O_NONBLOCK, O_RDWR, S_IFSOCK } from "../abi/file.ts";
import { available, setStatusFlags } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import { anonymousIno, anonymousStat, type Owner, SOCKFS } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { HostBackedFile, HostReadiness } from "../vfs/host-readiness.ts";
import type { Stat } from "../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { HostBacking, IoctlContext, Lease, OpenFile } from "../vfs/open-file.ts";
import type { Pollable } from "../vfs/poll.ts";
import { SocketOptions } from "./options.ts";

const FIONREAD = 0x541b;

/** Who a socket's peer is: `struct ucred`, in the container's ids. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The credentials of whoever calls. */
export function credentialsOf(caller: Actor): PeerCredentials {
  const { euid, egid } = caller.credentials;
  return { pid: caller.process.pid, uid: euid, gid: egid };
}

/** What a message carries besides its bytes; the receiver owns the references to the files. */
export interface Ancillary {
  readonly files: readonly OpenFile[];
  readonly credentials: PeerCredentials | undefined;
}

/** One message to send. */
export interface OutgoingMessage {
  readonly buffer: IoBuffer;
  readonly flags: number;
  /** The destination as the guest wrote it. */
  readonly address?: Uint8Array | undefined;
  readonly ancillary?: Ancillary | undefined;
}

/** What was received. */
export interface IncomingMessage {
  /** Bytes stored, or with MSG_TRUNC the length the datagram had. */
  readonly count: number;
  /** MSG_TRUNC, MSG_EOR, MSG_OOB. */
  readonly flags: number;
  /** The sender's address; undefined where the protocol does not tell. */
  readonly address?: Uint8Array | undefined;
  readonly ancillary?: Ancillary | undefined;
}

/**
 * A socket. Like every open file it never blocks: what would wait answers `EAGAIN`, and a connection under
 * way `EINPROGRESS`; the caller waits on the file itself, or where {@link waitToConnect} and
 * {@link waitToSend} say.
 */
export abstract class Socket extends HostBackedFile {
  abstract readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly options = new SocketOptions();
  protected readonly reactor: Reactor;
  readonly #ino = anonymousIno();
  readonly #stat: Stat;
  /** A host descriptor has the guest's flags. */
  #lent = false;

  /** @param idle what is ready as long as no host descriptor says. */
  constructor(
    reactor: Reactor,
    type: number,
    protocol: number,
    flags: number,
    owner: Owner,
    idle: number,
  ) {
    super(O_RDWR | (flags & O_NONBLOCK), new HostReadiness(reactor, undefined, idle));
    this.reactor = reactor;
    this.type = type;
    this.protocol = protocol;
    this.#stat = anonymousStat(SOCKFS, this.#ino, S_IFSOCK | 0o777, owner);
  }

  get name(): string {
    return `socket:[${this.#ino}]`;
  }

  get readTimeoutNs(): bigint | undefined {
    return this.options.readTimeoutNs;
  }

  get writeTimeoutNs(): bigint | undefined {
    return this.options.writeTimeoutNs;
  }

  stat(): Stat {
    return this.#stat;
  }

  override read(buffer: IoBuffer): Transfer {
    const message = this.receive(buffer, 0, false);
    return message instanceof Errno ? message : message.count;
  }

  override write(buffer: IoBuffer, caller?: unknown): Transfer {
    return this.send({ buffer, flags: 0 }, caller as Actor | undefined);
  }

  /** See bind(2). */
  bind(_address: Uint8Array, _caller: Actor): Errno | undefined {
    return EOPNOTSUPP;
  }

  /** See listen(2). */
  listen(_backlog: number, _caller: Actor): Errno | undefined {
    return EOPNOTSUPP;
  }

  /** Whether `accept` can ever succeed: SO_ACCEPTCONN. */
  get listening(): boolean {
    return false;
  }

  /** A connection somebody made. @returns `EAGAIN` when there is none, `EINVAL` when not listening. */
  accept(): Socket | Errno {
    return this.type === 2 ? EOPNOTSUPP : EINVAL;
  }

  /**
   * See connect(2).
   * @returns undefined when connected; `EINPROGRESS` when that takes time; `EAGAIN` when the other side has
   *   no room at present (then {@link waitToConnect}).
   */
  connect(_address: Uint8Array, _caller: Actor): Errno | undefined {
    return EOPNOTSUPP;
  }

  /** Where to wait before connecting again after `EAGAIN`. */
  waitToConnect(): Pollable {
    return this;
  }

  /** Sends a message, or what there is room for of a stream. See sendmsg(2). */
  send(_message: OutgoingMessage, _caller?: Actor): Transfer {
    return EOPNOTSUPP;
  }

  /** Where to wait (POLLOUT) before sending again after `EAGAIN`. */
  waitToSend(_address: Uint8Array | undefined, _caller: Actor): Pollable {
    return this;
  }

  /** Receives a message. @param withAncillary whether the caller takes files; else they are dropped. */
  receive(_buffer: IoBuffer, _flags: number, _withAncillary: boolean): IncomingMessage | Errno {
    return EOPNOTSUPP;
  }

  abstract localAddress(): Uint8Array | Errno;
  abstract peerAddress(): Uint8Array | Errno;

  /** See shutdown(2). */
  shutdown(_how: number): Errno | undefined {
    return EOPNOTSUPP;
  }

  /** Takes the pending error: `SO_ERROR`. */
  takeError(): number {
    return 0;
  }

  /** `SO_PEERCRED`. */
  peerCredentials(): PeerCredentials | Errno {
    return ENOPROTOOPT;
  }

  /** An option has been set; sockets with a host descriptor pass on what matters there. */
  optionChanged(_level: number, _name: number, _value: Uint8Array): Errno | undefined {
    return undefined;
  }

  override ioctl(request: number, context: IoctlContext): number | Errno {
    if (request !== FIONREAD) return ENOTTY;
    const count = this.unread();
    if (count instanceof Errno) return count;
    const out = new Uint8Array(4);
    new DataView(out.buffer).setInt32(0, count, true);
    return context.copyOut(out) ?? 0;
  }

  /** Bytes that one read would get. */
  protected unread(): number | Errno {
    const { fd } = this.readiness;
    return fd === undefined ? 0 : available(fd);
  }

  override backing(): HostBacking | Errno {
    const { fd } = this.readiness;
    return fd === undefined ? EAGAIN : { fd, offset: 0, direct: this.isDirect };
  }

  /** The host descriptor of a connection that stands, for whoever waits on it himself. */
  protected leaseConnection(): Lease | undefined {
    const { fd } = this.readiness;
    // What these options ask for is done by the sentry.
    const timed = this.readTimeoutNs !== undefined || this.writeTimeoutNs !== undefined;
    if (fd === undefined || timed) return undefined;
    this.#lent = true;
    this.flagsChanged();
    return { fd, waits: true };
  }

  /** The sentry's own calls on a lent descriptor say themselves that they are not to wait. */
  override flagsChanged(): void {
    const { fd } = this.readiness;
    if (this.#lent && fd !== undefined) setStatusFlags(fd, this.flags & O_NONBLOCK);
  }

  /** Whether bytes on the host descriptor are the guest's bytes and nothing else. */
  protected get isDirect(): boolean {
    return false;
  }
}

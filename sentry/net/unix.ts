/** AF_UNIX sockets: names in the container's file tree and its abstract names, bytes through the host. */
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  EDESTADDRREQ,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTOTYPE,
  Errno,
} from "../abi/errno.ts";
import {
  AF_UNIX,
  AF_UNSPEC,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_PASSCRED,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import type { Inode } from "../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { POLLHUP, POLLOUT, POLLWRBAND, POLLWRNORM, type Pollable } from "../vfs/poll.ts";
import { familyOf, formatUnixName, parseUnixName, type UnixName } from "./address.ts";
import { DatagramInbox } from "./datagram-inbox.ts";
import type { RightsInFlight } from "./rights.ts";
import {
  credentialsOf,
  type IncomingMessage,
  type OutgoingMessage,
  type PeerCredentials,
  Socket,
} from "./socket.ts";
import { StreamSocket } from "./stream.ts";
import { createSocketNode, findSocketNode } from "./unix-paths.ts";

const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;
const UNNAMED: UnixName = { kind: "unnamed" };
/** Names that autobind tries before it gives up; there are 2^20. */
const AUTOBIND_MAX = 1 << 20;

type UnixSocket = UnixStream | UnixDatagram;

/** What AF_UNIX sockets of one container share: their names and what is on its way between them. */
export class UnixNames {
  readonly rights: RightsInFlight;
  readonly #abstract = new Map<string, UnixSocket>();
  readonly #byInode = new WeakMap<Inode, UnixSocket>();
  /** Keeps the nodes of open sockets, which file systems would otherwise make anew. */
  readonly #nodes = new Map<UnixSocket, Inode>();
  readonly #hostSockets: boolean;
  #lastAuto = 0;

  /** @param hostSockets whether sockets of the host in bind mounts can be connected to. */
  constructor(rights: RightsInFlight, hostSockets: boolean) {
    this.rights = rights;
    this.#hostSockets = hostSockets;
  }

  /** Gives `socket` a name. @returns the name; `EADDRINUSE`, `EINVAL`, and what making a file answers. */
  bind(socket: UnixSocket, name: UnixName, caller: Actor): UnixName | Errno {
    switch (name.kind) {
      case "unnamed":
        return this.#autobind(socket);
      case "abstract":
        if (this.#abstract.has(name.bytes)) return EADDRINUSE;
        this.#abstract.set(name.bytes, socket);
        return name;
      case "path": {
        const inode = createSocketNode(caller, name.bytes);
        if (inode instanceof Errno) return inode;
        this.#byInode.set(inode, socket);
        this.#nodes.set(socket, inode);
        return name;
      }
    }
  }

  /**
   * The socket a name stands for, or a descriptor (`O_PATH`, the caller's) of a socket of the host.
   * @returns `ECONNREFUSED` when nobody holds it.
   */
  find(name: UnixName, caller: Actor): UnixSocket | number | Errno {
    switch (name.kind) {
      case "unnamed":
        return EINVAL;
      case "abstract":
        return this.#abstract.get(name.bytes) ?? ECONNREFUSED;
      case "path": {
        const inode = findSocketNode(caller, name.bytes);
        if (inode instanceof Errno) return inode;
        const socket = this.#byInode.get(inode);
        if (socket !== undefined && !socket.closed) return socket;
        return this.#hostSockets ? inode.openHostSocket() : ECONNREFUSED;
      }
    }
  }

  /** The socket is gone, its abstract name is free; a name in the file tree stays until it is unlinked. */
  release(socket: UnixSocket, name: UnixName): void {
    this.#nodes.delete(socket);
    if (name.kind === "abstract") this.#abstract.delete(name.bytes);
  }

  #autobind(socket: UnixSocket): UnixName | Errno {
    for (let i = 0; i < AUTOBIND_MAX; i++) {
      this.#lastAuto = (this.#lastAuto + 1) % AUTOBIND_MAX;
      const bytes = `\0${this.#lastAuto.toString(16).padStart(5, "0")}`;
      if (this.#abstract.has(bytes)) continue;
      this.#abstract.set(bytes, socket);
      return { kind: "abstract", bytes };
    }
    return EADDRINUSE;
  }
}

/** SOCK_STREAM and SOCK_SEQPACKET. */
export class UnixStream extends StreamSocket {
  readonly family = AF_UNIX;
  closed = false;
  protected override readonly rights: RightsInFlight;
  protected readonly notConnected: { readonly send: Errno; readonly receive: Errno };
  readonly #names: UnixNames;
  readonly #owner: Owner;
  #name: UnixName = UNNAMED;
  /** Whether the name is this socket's own to give back, and not its listener's. */
  #ownsName = false;
  /** Connected to a program of the host. */
  #outside = false;
  #target: StreamSocket | undefined;

  constructor(reactor: Reactor, names: UnixNames, type: number, flags: number, owner: Owner) {
    super(reactor, type, 0, flags, owner, WRITABLE | POLLHUP);
    this.#names = names;
    this.#owner = owner;
    this.rights = names.rights;
    this.notConnected = { send: ENOTCONN, receive: type === SOCK_STREAM ? EINVAL : ENOTCONN };
  }

  override bind(address: Uint8Array, caller: Actor): Errno | undefined {
    const wanted = parseUnixName(address);
    if (wanted instanceof Errno) return wanted;
    if (this.#name.kind !== "unnamed") return EINVAL;
    const name = this.#names.bind(this, wanted, caller);
    if (name instanceof Errno) return name;
    this.#name = name;
    this.#ownsName = true;
    return undefined;
  }

  override listen(backlog: number, caller: Actor): Errno | undefined {
    return this.#name.kind === "unnamed" ? EINVAL : super.listen(backlog, caller);
  }

  override connect(address: Uint8Array, caller: Actor): Errno | undefined {
    const name = parseUnixName(address);
    if (name instanceof Errno) return name;
    if (this.connected) return EISCONN;
    const found = this.#names.find(name, caller);
    if (found instanceof Errno) return found;
    if (typeof found === "number") return this.#connectHost(found);
    if (!(found instanceof UnixStream) || found.type !== this.type) return EPROTOTYPE;
    this.#target = found;
    return this.connectTo(found, caller);
  }

  /** Connects to a socket of the host by its node. */
  #connectHost(node: number): Errno | undefined {
    const fd = host.socket(AF_UNIX, this.type, 0);
    const name: UnixName = { kind: "path", bytes: `/proc/self/fd/${node}` };
    const error = fd instanceof Errno ? fd : host.connect(fd, formatUnixName(name));
    close(node);
    if (fd instanceof Errno) return fd;
    if (error !== undefined) {
      close(fd);
      // To wait for a host's listener would need a thread: a full queue is as good as no listener.
      return error === EAGAIN ? ECONNREFUSED : error;
    }
    this.#outside = true;
    this.adopt(fd);
    return undefined;
  }

  override waitToConnect(): Pollable {
    return this.#target?.room ?? this;
  }

  protected override newAccepted(_connector: StreamSocket): StreamSocket {
    const accepted = new UnixStream(this.reactor, this.#names, this.type, 0, this.#owner);
    accepted.#name = this.#name;
    accepted.options.set(
      SOL_SOCKET,
      SO_PASSCRED,
      Uint8Array.of(this.options.int(SOL_SOCKET, SO_PASSCRED), 0, 0, 0),
    );
    return accepted;
  }

  override send(message: OutgoingMessage, caller?: Actor): Transfer {
    if (message.address !== undefined) return this.connected ? EISCONN : EOPNOTSUPP;
    // What the guest calls a file means nothing to a program of the host.
    if (this.#outside && (message.ancillary?.files.length ?? 0) > 0) return EPERM;
    if (this.#outside) return super.send({ buffer: message.buffer, flags: message.flags });
    return super.send(message, caller);
  }

  localAddress(): Uint8Array {
    return formatUnixName(this.#name);
  }

  peerAddress(): Uint8Array | Errno {
    const { peer } = this;
    if (this.#outside) return formatUnixName(UNNAMED);
    return peer instanceof UnixStream && this.connected ? formatUnixName(peer.#name) : ENOTCONN;
  }

  override shutdown(how: number): Errno | undefined {
    const error = super.shutdown(how);
    // Without a connection there is nothing to end, and nothing wrong.
    return error === ENOTCONN ? undefined : error;
  }

  protected override release(): void {
    this.closed = true;
    if (this.#ownsName) this.#names.release(this, this.#name);
    super.release();
  }
}

/** SOCK_DGRAM. */
export class UnixDatagram extends Socket {
  readonly family = AF_UNIX;
  closed = false;
  readonly #names: UnixNames;
  readonly #inbox: DatagramInbox;
  #name: UnixName = UNNAMED;
  #peer: UnixDatagram | undefined;
  #peerCredentials: PeerCredentials | undefined;
  #shut = 0;

  private constructor(
    reactor: Reactor,
    names: UnixNames,
    inbox: DatagramInbox,
    flags: number,
    owner: Owner,
  ) {
    super(reactor, SOCK_DGRAM, 0, flags, owner, WRITABLE);
    this.#names = names;
    this.#inbox = inbox;
    this.readiness.attach(inbox.fd);
  }

  static create(
    reactor: Reactor,
    names: UnixNames,
    flags: number,
    owner: Owner,
  ): UnixDatagram | Errno {
    const inbox = DatagramInbox.create(reactor);
    if (inbox instanceof Errno) return inbox;
    return new UnixDatagram(reactor, names, inbox, flags, owner);
  }

  override bind(address: Uint8Array, caller: Actor): Errno | undefined {
    const wanted = parseUnixName(address);
    if (wanted instanceof Errno) return wanted;
    if (this.#name.kind !== "unnamed") return EINVAL;
    const name = this.#names.bind(this, wanted, caller);
    if (name instanceof Errno) return name;
    this.#name = name;
    return undefined;
  }

  override connect(address: Uint8Array, caller: Actor): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) {
      this.#peer = undefined;
      return undefined;
    }
    const peer = this.#find(address, caller);
    if (peer instanceof Errno) return peer;
    this.#peer = peer;
    return undefined;
  }

  /** The two ends of socketpair(2). */
  joinWith(other: UnixDatagram, credentials: PeerCredentials): undefined {
    this.#peer = other;
    other.#peer = this;
    this.#peerCredentials = credentials;
    other.#peerCredentials = credentials;
  }

  override send(message: OutgoingMessage, caller?: Actor): Transfer {
    if (this.#shut & (1 << SHUT_WR)) return EPIPE;
    const target = this.#target(message.address, caller);
    if (target instanceof Errno) return target;
    // A connected receiver hears only its own peer.
    if (target.#peer !== undefined && target.#peer !== this) return EPERM;
    if (target.#shut & (1 << SHUT_RD)) return EPIPE;
    const source = this.#name.kind === "unnamed" ? new Uint8Array(0) : formatUnixName(this.#name);
    const { ancillary, buffer } = message;
    const wanted =
      target.options.int(SOL_SOCKET, SO_PASSCRED) === 1 ||
      this.options.int(SOL_SOCKET, SO_PASSCRED) === 1;
    const credentials =
      ancillary?.credentials ?? (wanted ? caller && credentialsOf(caller) : undefined);
    const files = ancillary?.files ?? [];
    if (files.length === 0 && credentials === undefined) {
      return this.#settle(target, target.#inbox.deliver(source, buffer));
    }
    return this.#settle(
      target,
      this.#names.rights.pack({ files, credentials }, (token) =>
        target.#inbox.deliver(source, buffer, token),
      ),
    );
  }

  /** A peer that is gone is forgotten with the first error. */
  #settle(target: UnixDatagram, result: Transfer): Transfer {
    if (result === ECONNREFUSED && this.#peer === target) this.#peer = undefined;
    return result;
  }

  override waitToSend(address: Uint8Array | undefined, caller: Actor): Pollable {
    const target = this.#target(address, caller);
    return target instanceof Errno ? this : target.#inbox.room;
  }

  override receive(
    buffer: IoBuffer,
    flags: number,
    withAncillary: boolean,
  ): IncomingMessage | Errno {
    const datagram = this.#inbox.receive(buffer, flags, withAncillary);
    if (datagram instanceof Errno) return datagram;
    const { token, source } = datagram;
    return {
      count: datagram.count,
      flags: datagram.flags,
      address: source.length === 0 ? undefined : source,
      ancillary: token === undefined ? undefined : this.#names.rights.unpack(token, flags),
    };
  }

  localAddress(): Uint8Array {
    return formatUnixName(this.#name);
  }

  peerAddress(): Uint8Array | Errno {
    return this.#peer === undefined ? ENOTCONN : formatUnixName(this.#peer.#name);
  }

  override peerCredentials(): PeerCredentials {
    return this.#peerCredentials ?? { pid: 0, uid: -1, gid: -1 };
  }

  override shutdown(how: number): Errno | undefined {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    if (how !== SHUT_WR) {
      this.#shut |= 1 << SHUT_RD;
      this.#inbox.shutdown(SHUT_RD);
    }
    if (how !== SHUT_RD) this.#shut |= 1 << SHUT_WR;
    return undefined;
  }

  protected override unread(): number | Errno {
    return this.#inbox.next();
  }

  protected override release(): void {
    this.closed = true;
    this.#names.release(this, this.#name);
    this.readiness.close();
    this.#inbox.close();
  }

  #target(address: Uint8Array | undefined, caller?: Actor): UnixDatagram | Errno {
    if (address !== undefined) {
      return caller === undefined ? EDESTADDRREQ : this.#find(address, caller);
    }
    if (this.#peer === undefined) return ENOTCONN;
    return this.#peer;
  }

  #find(address: Uint8Array, caller: Actor): UnixDatagram | Errno {
    const name = parseUnixName(address);
    if (name instanceof Errno) return name;
    const found = this.#names.find(name, caller);
    if (found instanceof Errno) return found;
    if (typeof found === "number") {
      close(found);
      return ECONNREFUSED;
    }
    return found instanceof UnixDatagram ? found : EPROTOTYPE;
  }
}

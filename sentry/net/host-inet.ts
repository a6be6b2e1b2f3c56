import { EINVAL, Errno } from "../abi/errno.ts";
import { SO_ACCEPTCONN, SOCK_STREAM, SOL_SOCKET } from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { Lease } from "../vfs/open-file.ts";
import { type IncomingMessage, type OutgoingMessage, Socket } from "./socket.ts";

/** An internet socket of a container that shares the host's network (`--network host`): the host's own. */
export class HostSocket extends Socket {
  readonly family: number;
  readonly #fd: number;
  readonly #owner: Owner;

  private constructor(
    reactor: Reactor,
    shape: { readonly family: number; readonly type: number; readonly protocol: number },
    flags: number,
    owner: Owner,
    fd: number,
  ) {
    super(reactor, shape.type, shape.protocol, flags, owner, 0);
    this.family = shape.family;
    this.#fd = fd;
    this.#owner = owner;
    this.readiness.attach(fd);
  }

  static create(
    reactor: Reactor,
    shape: { readonly family: number; readonly type: number; readonly protocol: number },
    flags: number,
    owner: Owner,
  ): HostSocket | Errno {
    const fd = host.socket(shape.family, shape.type, shape.protocol);
    return fd instanceof Errno ? fd : new HostSocket(reactor, shape, flags, owner, fd);
  }

  override bind(address: Uint8Array): Errno | undefined {
    return host.bind(this.#fd, address);
  }

  override listen(backlog: number): Errno | undefined {
    return host.listen(this.#fd, backlog);
  }

  override get listening(): boolean {
    const value = host.getOption(this.#fd, SOL_SOCKET, SO_ACCEPTCONN, 4);
    return !(value instanceof Errno) && value[0] === 1;
  }

  override accept(): Socket | Errno {
    const fd = host.accept(this.#fd);
    if (fd instanceof Errno) return fd;
    return new HostSocket(this.reactor, this, 0, this.#owner, fd);
  }

  override connect(address: Uint8Array): Errno | undefined {
    return host.connect(this.#fd, address);
  }

  override send({ buffer, flags, address }: OutgoingMessage): Transfer {
    return host.send(this.#fd, [buffer], flags, { address });
  }

  override receive(buffer: IoBuffer, flags: number): IncomingMessage | Errno {
    return host.receive(this.#fd, [buffer], flags, false);
  }

  localAddress(): Uint8Array | Errno {
    return host.localAddress(this.#fd);
  }

  peerAddress(): Uint8Array | Errno {
    return host.peerAddress(this.#fd);
  }

  override shutdown(how: number): Errno | undefined {
    return host.shutdown(this.#fd, how);
  }

  override takeError(): number {
    return host.takeError(this.#fd);
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    return host.setOption(this.#fd, level, name, value);
  }

  /** An option as the host has it. */
  hostOption(level: number, name: number, room: number): Uint8Array | Errno {
    return room < 0 ? EINVAL : host.getOption(this.#fd, level, name, room);
  }

  protected override get isDirect(): boolean {
    return true;
  }

  override lease(): Lease | undefined {
    const connected = this.type === SOCK_STREAM && !(this.peerAddress() instanceof Errno);
    return connected ? this.leaseConnection() : super.lease();
  }

  protected override release(): void {
    this.readiness.close();
    close(this.#fd);
  }
}

/** Sockets of the host. Descriptors made here are nonblocking and close-on-exec; calls never wait. */
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { HostMemory } from "./memory.ts";

export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
const SOCK_FLAGS = 0o4000 | 0o2000000;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_ERROR = 4;

/** `struct sockaddr_storage`. */
export const SOCKADDR_MAX = 128;
const OPTION_MAX = 4096;
const CMSG_HEADER = 16;
const IOVEC_SIZE = 16;
const IOVECS_MAX = 4;
const MSGHDR_SIZE = 56;

const name = new HostMemory(SOCKADDR_MAX);
const length = new HostMemory(8);
const option = new HostMemory(OPTION_MAX);
const header = new HostMemory(MSGHDR_SIZE);
const iovecs = new HostMemory(IOVEC_SIZE * IOVECS_MAX);
const control = new HostMemory(CMSG_HEADER + 8);

/** A piece of the sentry's memory to send or fill. */
export interface Piece {
  readonly address: number;
  readonly length: number;
}

function done(result: number | Errno): Errno | undefined {
  return result instanceof Errno ? result : undefined;
}

/** See socket(2). */
export function socket(family: number, type: number, protocol: number): number | Errno {
  return call("socket", family, type | SOCK_FLAGS, protocol);
}

/** Two connected AF_UNIX sockets. */
export function socketPair(type: number): [number, number] | Errno {
  const result = call("socketpair", AF_UNIX, type | SOCK_FLAGS, 0, length.bytes);
  if (result instanceof Errno) return result;
  return [length.view.getInt32(0, true), length.view.getInt32(4, true)];
}

export function bind(fd: number, address: Uint8Array): Errno | undefined {
  return done(call("bind", fd, address, address.length));
}

export function listen(fd: number, backlog: number): Errno | undefined {
  return done(call("listen", fd, backlog));
}

export function connect(fd: number, address: Uint8Array): Errno | undefined {
  return done(call("connect", fd, address, address.length));
}

/** See accept(2); the new descriptor is nonblocking. */
export function accept(fd: number): number | Errno {
  return call("accept4", fd, null, null, SOCK_FLAGS);
}

export function shutdown(fd: number, how: number): Errno | undefined {
  return done(call("shutdown", fd, how));
}

function addressBy(syscall: "getsockname" | "getpeername", fd: number): Uint8Array | Errno {
  length.view.setUint32(0, SOCKADDR_MAX, true);
  const result = call(syscall, fd, name.bytes, length.bytes);
  if (result instanceof Errno) return result;
  return name.bytes.slice(0, Math.min(length.view.getUint32(0, true), SOCKADDR_MAX));
}

export function localAddress(fd: number): Uint8Array | Errno {
  return addressBy("getsockname", fd);
}

export function peerAddress(fd: number): Uint8Array | Errno {
  return addressBy("getpeername", fd);
}

/** See getsockopt(2). @param room how much the caller can take. */
export function getOption(
  fd: number,
  level: number,
  optname: number,
  room: number,
): Uint8Array | Errno {
  length.view.setUint32(0, Math.min(room, OPTION_MAX), true);
  const result = call("getsockopt", fd, level, optname, option.bytes, length.bytes);
  if (result instanceof Errno) return result;
  return option.bytes.slice(0, length.view.getUint32(0, true));
}

export function setOption(
  fd: number,
  level: number,
  optname: number,
  value: Uint8Array,
): Errno | undefined {
  return done(call("setsockopt", fd, level, optname, value, value.length));
}

/** Takes the pending error of a socket, `SO_ERROR`: its number, 0 for none. */
export function takeError(fd: number): number {
  const value = getOption(fd, SOL_SOCKET, SO_ERROR, 4);
  return value instanceof Errno ? 0 : new DataView(value.buffer).getInt32(0, true);
}

function setHeader(pieces: readonly Piece[], nameLength: number, controlLength: number): void {
  pieces.slice(0, IOVECS_MAX).forEach((piece, i) => {
    iovecs.view.setBigUint64(i * IOVEC_SIZE, BigInt(piece.address), true);
    iovecs.view.setBigUint64(i * IOVEC_SIZE + 8, BigInt(piece.length), true);
  });
  const { view } = header;
  view.setBigUint64(0, nameLength === 0 ? 0n : BigInt(name.address), true);
  view.setUint32(8, nameLength, true);
  view.setBigUint64(16, BigInt(iovecs.address), true);
  view.setBigUint64(24, BigInt(Math.min(pieces.length, IOVECS_MAX)), true);
  view.setBigUint64(32, controlLength === 0 ? 0n : BigInt(control.address), true);
  view.setBigUint64(40, BigInt(controlLength), true);
  view.setInt32(48, 0, true);
}

/**
 * Sends one message. SIGPIPE is never raised.
 * @param pieces at most four.
 * @param options `address`: the destination; `token`: a descriptor to pass along.
 */
export function send(
  fd: number,
  pieces: readonly Piece[],
  flags: number,
  options: { readonly address?: Uint8Array | undefined; readonly token?: number | undefined } = {},
): number | Errno {
  const { address, token } = options;
  if (address !== undefined) name.bytes.set(address.subarray(0, SOCKADDR_MAX));
  if (token !== undefined) {
    control.view.setBigUint64(0, BigInt(CMSG_HEADER + 4), true);
    control.view.setInt32(8, SOL_SOCKET, true);
    control.view.setInt32(12, SCM_RIGHTS, true);
    control.view.setInt32(CMSG_HEADER, token, true);
  }
  const controlLength = token === undefined ? 0 : CMSG_HEADER + 8;
  setHeader(pieces, Math.min(address?.length ?? 0, SOCKADDR_MAX), controlLength);
  return call("sendmsg", fd, header.bytes, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/** What {@link receive} got. */
export interface Received {
  /** Bytes stored, or with MSG_TRUNC the length the message had. */
  readonly count: number;
  /** MSG_* of the answer. */
  readonly flags: number;
  /** Who sent it; empty when the host does not say. */
  readonly address: Uint8Array;
  /** A descriptor that came along; the caller's now. */
  readonly token: number | undefined;
}

/** Receives one message, or what there is of a stream. @param withToken whether to take a descriptor. */
export function receive(
  fd: number,
  pieces: readonly Piece[],
  flags: number,
  withToken: boolean,
): Received | Errno {
  setHeader(pieces, SOCKADDR_MAX, withToken ? CMSG_HEADER + 8 : 0);
  const count = call("recvmsg", fd, header.bytes, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count instanceof Errno) return count;
  const { view } = header;
  const nameLength = Math.min(view.getUint32(8, true), SOCKADDR_MAX);
  const controlLength = Number(view.getBigUint64(40, true));
  const hasToken =
    withToken &&
    controlLength >= CMSG_HEADER + 4 &&
    control.view.getInt32(8, true) === SOL_SOCKET &&
    control.view.getInt32(12, true) === SCM_RIGHTS;
  return {
    count,
    flags: view.getInt32(48, true),
    address: name.bytes.slice(0, nameLength),
    token: hasToken ? control.view.getInt32(CMSG_HEADER, true) : undefined,
  };
}

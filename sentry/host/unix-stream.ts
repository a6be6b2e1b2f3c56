/** Stream sockets between processes of one user, with descriptors beside the bytes. See unix(7). */
import { native } from "../../ring/native.ts";
import { EINVAL, ENAMETOOLONG, Errno, errnoOf } from "../abi/errno.ts";
import { call } from "./call.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** `sun_path` without its terminating NUL. */
const PATH_LENGTH_MAX = 107;

/**
 * A listening, non-blocking socket at the host path `path`.
 * @returns its descriptor; `ENAMETOOLONG` for a path of more than 107 bytes.
 */
export function listenUnix(path: string, backlog: number): number | Errno {
  return listenAt(SOCK_STREAM, path, backlog);
}

/** As {@link listenUnix}, for connections of messages. */
export function listenMessages(path: string, backlog: number): number | Errno {
  return listenAt(SOCK_SEQPACKET, path, backlog);
}

function listenAt(type: number, path: string, backlog: number): number | Errno {
  return withSocket(type | SOCK_NONBLOCK, (fd) => {
    const address = addressOf(path);
    if (address instanceof Errno) return address;
    const bound = call("bind", fd, address, address.length);
    return bound instanceof Errno ? bound : call("listen", fd, backlog);
  });
}

/**
 * A non-blocking socket connected to the one listening for messages at `path`.
 * @returns `ENOENT`, `ECONNREFUSED` when nobody is there, `EAGAIN` when its queue is full.
 */
export function connectMessages(path: string): number | Errno {
  return withSocket(SOCK_SEQPACKET | SOCK_NONBLOCK, (fd) => {
    const address = addressOf(path);
    return address instanceof Errno ? address : call("connect", fd, address, address.length);
  });
}

/** A blocking socket connected to the one listening at `path`. */
export function connectUnix(path: string): number | Errno {
  return withSocket(SOCK_STREAM, (fd) => {
    const address = addressOf(path);
    return address instanceof Errno ? address : call("connect", fd, address, address.length);
  });
}

/** A waiting connection, non-blocking, or `EAGAIN`. */
export function acceptUnix(fd: number): number | Errno {
  return call("accept4", fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/** The user on the other end when the connection was made. */
export function peerUid(fd: number): number | Errno {
  const peer = peerOf(fd);
  return peer instanceof Errno ? peer : peer.uid;
}

/** The process and the user on the other end when the connection was made. */
export function peerOf(fd: number): { readonly pid: number; readonly uid: number } | Errno {
  const credentials = Buffer.alloc(12);
  const length = Buffer.from(Int32Array.of(credentials.length).buffer);
  const result = call("getsockopt", fd, SOL_SOCKET, SO_PEERCRED, credentials, length);
  if (result instanceof Errno) return result;
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}

/** Sends bytes, and descriptors with the first of them; the descriptors stay the caller's. */
export function sendWithDescriptors(
  fd: number,
  bytes: Uint8Array,
  descriptors: readonly number[],
): number | Errno {
  const sent = native.sendDescriptors(fd, bytes, Int32Array.from(descriptors));
  return sent < 0 ? errnoOf(-sent) : sent;
}

/** Receives at most `room.length` bytes (0: the end) and at most `descriptorsMax` descriptors, now the caller's. */
export function receiveWithDescriptors(
  fd: number,
  room: Uint8Array,
  descriptorsMax: number,
): { readonly length: number; readonly descriptors: readonly number[] } | Errno {
  const descriptors = new Int32Array(descriptorsMax);
  const length = native.receiveDescriptors(fd, room, descriptors);
  if (length < 0) return errnoOf(-length);
  return { length, descriptors: [...descriptors].filter((each) => each >= 0) };
}

function withSocket(type: number, prepare: (fd: number) => number | Errno): number | Errno {
  const fd = call("socket", AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd instanceof Errno) return fd;
  const result = prepare(fd);
  if (!(result instanceof Errno)) return fd;
  call("close", fd);
  return result;
}

function addressOf(path: string): Buffer | Errno {
  const bytes = Buffer.from(path, "utf8");
  if (bytes.length > PATH_LENGTH_MAX) return ENAMETOOLONG;
  if (bytes.includes(0)) return EINVAL;
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  return address;
}

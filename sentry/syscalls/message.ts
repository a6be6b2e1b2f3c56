/** Messages on sockets, with addresses and ancillary data: sendmsg(2), recvmsg(2) and their kin. */
import { EAGAIN, EBADF, EINVAL, EMSGSIZE, EPERM, EPIPE, Errno } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/file.ts";
import {
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  MSG_WAITFORONE,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SO_PASSCRED,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { i32, struct, u32, u64 } from "../abi/struct.ts";
import { PARKED } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import { intBytes } from "../net/options.ts";
import type { Ancillary, IncomingMessage, PeerCredentials, Socket } from "../net/socket.ts";
import { CAP_SYS_ADMIN, isCapable } from "../vfs/credentials.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { addr, fd, inBuffer, int, long, MAX_RW_COUNT, outBuffer, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { installFile } from "./fd.ts";
import { timespecAt } from "./poll.ts";
import { addressAt, socketAt, storeAddress, waitForSocket } from "./socket.ts";
import {
  gather,
  IOV_MAX,
  lengthOf,
  pieceOf,
  scatter,
  signalBrokenPipe,
  vectorsAt,
  waitToRead,
  writeAll,
} from "./transfer.ts";

/** `struct msghdr` of 64-bit Linux. */
const Msghdr = struct({
  name: u64,
  namelen: i32,
  iov: u64,
  iovlen: u64,
  control: u64,
  controllen: u64,
  flags: i32,
});
const MMSGHDR_SIZE = 64;
const MMSG_LENGTH_AT = Msghdr.size;
const Cmsghdr = struct({ len: u64, level: i32, type: i32 });
const Ucred = struct({ pid: i32, uid: u32, gid: u32 });
/** `net.core.optmem_max`, and SCM_MAX_FD. */
const CONTROL_MAX = 131_072;
const FILES_MAX = 253;
/** Bytes of one message; streams send more in pieces. */
const MESSAGE_MAX = 1 << 20;
/** Flags that mean something to the host; the rest is the sentry's business. */
const SEND_FLAGS = MSG_OOB | MSG_EOR | MSG_MORE;
const RECEIVE_FLAGS = MSG_OOB | MSG_PEEK | MSG_TRUNC;

type Header = ReturnType<typeof Msghdr.parse>;

function headerAt(task: Task, at: number): Header | Errno {
  const raw = task.memory.copyIn(at, Msghdr.size);
  if (raw instanceof Errno) return raw;
  const header = Msghdr.parse(raw);
  return header.iovlen > IOV_MAX ? EMSGSIZE : header;
}

const align = (length: number) => Math.ceil(length / 8) * 8;

/** Reads what a message is to carry; the files are retained. @returns `EINVAL`, `EBADF`, `EPERM`. */
function ancillaryAt(task: Task, at: number, length: number): Ancillary | undefined | Errno {
  if (at === 0 || length === 0) return undefined;
  if (length > CONTROL_MAX) return EINVAL;
  const raw = task.memory.copyIn(at, length);
  if (raw instanceof Errno) return raw;
  const files: OpenFile[] = [];
  let credentials: PeerCredentials | undefined;
  for (let offset = 0; offset + Cmsghdr.size <= raw.length; ) {
    const { len, level, type } = Cmsghdr.parse(raw.subarray(offset));
    if (len < Cmsghdr.size || len > raw.length - offset) return EINVAL;
    const body = raw.subarray(offset + Cmsghdr.size, offset + len);
    if (level === SOL_SOCKET) {
      const error =
        type === SCM_RIGHTS
          ? addFiles(task, body, files)
          : type === SCM_CREDENTIALS && body.length >= Ucred.size
            ? mayClaim(task, Ucred.parse(body))
            : EINVAL;
      if (error !== undefined) return error;
      if (type === SCM_CREDENTIALS) credentials = Ucred.parse(body);
    }
    offset += align(len);
  }
  if (files.length > FILES_MAX) return EINVAL;
  if (files.length === 0 && credentials === undefined) return undefined;
  return { files: files.map((file) => file.retain()), credentials };
}

function addFiles(task: Task, body: Uint8Array, files: OpenFile[]): Errno | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let i = 0; i + 4 <= body.length; i += 4) {
    const file = task.files.get(view.getInt32(i, true));
    if (file instanceof Errno) return EBADF;
    files.push(file);
  }
  return undefined;
}

/** Whether a task may say that it is `claimed`. See SCM_CREDENTIALS in unix(7). */
function mayClaim(task: Task, claimed: PeerCredentials): Errno | undefined {
  const { ruid, euid, suid, rgid, egid, sgid, capabilities } = task.credentials;
  const privileged =
    isCapable(task.credentials, CAP_SYS_ADMIN) || (euid === 0 && capabilities !== 0n);
  if (privileged) return undefined;
  const pid = claimed.pid === task.process.pid;
  const uid = [ruid, euid, suid].includes(claimed.uid);
  const gid = [rgid, egid, sgid].includes(claimed.gid);
  return pid && uid && gid ? undefined : EPERM;
}

/** What a call returns for the bytes of one message. */
type Conclude = (count: number) => number | Errno;
const identity: Conclude = (count) => count;

/** Sends one message whose bytes `piece` supplies from a given one on. */
function sendMessage(
  task: Task,
  socket: Socket,
  length: number,
  piece: (done: number) => IoBuffer | Errno,
  flags: number,
  address: Uint8Array | undefined,
  ancillary: Ancillary | undefined,
  conclude: Conclude = identity,
): Result {
  const nonblocking = ((socket.flags & O_NONBLOCK) | (flags & MSG_DONTWAIT)) !== 0;
  const hostFlags = flags & SEND_FLAGS;
  let carried = ancillary;
  const send = (done: number): number | Errno => {
    const buffer = piece(done);
    if (buffer instanceof Errno) return buffer;
    const sent = socket.send({ buffer, flags: hostFlags, address, ancillary: carried }, task);
    if (typeof sent === "number") carried = undefined;
    else if (sent === EPIPE && socket.type !== SOCK_DGRAM && (flags & MSG_NOSIGNAL) === 0) {
      signalBrokenPipe(task, sent);
    }
    return sent;
  };
  const settle = () => {
    for (const file of carried?.files ?? []) file.close();
    carried = undefined;
  };
  const waiting = { ended: settle, conclude };
  let result: Result;
  if (socket.type === SOCK_STREAM) {
    result = writeAll(task, socket, length, send, nonblocking, waiting);
  } else if (nonblocking) {
    result = send(0);
  } else {
    const source = socket.waitToSend(address, task);
    result = waitForSocket(task, socket, source, () => send(0), waiting);
  }
  if (result !== PARKED) settle();
  return typeof result === "number" ? conclude(result) : result;
}

function sendAt(
  task: Task,
  socket: Socket,
  at: number,
  flags: number,
  conclude: Conclude = identity,
): Result {
  const header = headerAt(task, at);
  if (header instanceof Errno) return header;
  const vectors = vectorsAt(task, header.iov, header.iovlen);
  if (vectors instanceof Errno) return vectors;
  const named = header.name !== 0 && header.namelen > 0;
  const address = named ? addressAt(task, header.name, header.namelen) : undefined;
  if (address instanceof Errno) return address;
  const length = lengthOf(vectors);
  if (socket.type !== SOCK_STREAM && length > MESSAGE_MAX) return EMSGSIZE;
  const ancillary = ancillaryAt(task, header.control, header.controllen);
  if (ancillary instanceof Errno) return ancillary;
  const piece = (done: number) => gather(task, vectors, done);
  return sendMessage(task, socket, length, piece, flags, address, ancillary, conclude);
}

/** Where all but the bytes of a received message goes. */
interface Destination {
  readonly withAncillary: boolean;
  deliver(message: IncomingMessage): Errno | undefined;
}

/** Receives one message, waiting for it, or for all that fits when MSG_WAITALL asks for it. */
function receiveMessage(
  task: Task,
  socket: Socket,
  room: number,
  flags: number,
  into: (bytes: Uint8Array, start: number) => Errno | undefined,
  destination: Destination,
  conclude: Conclude = identity,
): Result {
  if ((flags & MSG_ERRQUEUE) !== 0) return EAGAIN;
  const nonblocking = ((socket.flags & O_NONBLOCK) | (flags & MSG_DONTWAIT)) !== 0;
  const all = socket.type === SOCK_STREAM && (flags & (MSG_WAITALL | MSG_PEEK)) === MSG_WAITALL;
  let done = 0;
  const attempt = (): number | Errno => {
    for (;;) {
      const buffer = HostBuffer.allocate(Math.min(room - done, MESSAGE_MAX));
      const message = socket.receive(buffer, flags & RECEIVE_FLAGS, destination.withAncillary);
      if (message instanceof Errno) {
        return done > 0 && (message !== EAGAIN || nonblocking || !all) ? done : message;
      }
      const stored = Math.min(message.count, buffer.length);
      const lost = into(buffer.view(stored), done);
      if (lost !== undefined) {
        for (const file of message.ancillary?.files ?? []) file.close();
        return lost;
      }
      const error = destination.deliver(message);
      if (error !== undefined) return error;
      done += message.count;
      if (!all || stored === 0 || done >= room || message.ancillary !== undefined) return done;
    }
  };
  const waiting = { progress: () => done, conclude };
  const result = waitToRead(task, socket, attempt, nonblocking, waiting);
  return typeof result === "number" ? conclude(result) : result;
}

function receiveAt(
  task: Task,
  socket: Socket,
  at: number,
  flags: number,
  conclude: Conclude = identity,
): Result {
  const header = headerAt(task, at);
  if (header instanceof Errno) return header;
  const vectors = vectorsAt(task, header.iov, header.iovlen);
  if (vectors instanceof Errno) return vectors;
  const into = (bytes: Uint8Array, start: number) => scatter(task, vectors, bytes, start);
  const destination = {
    withAncillary: header.control !== 0 && header.controllen > 0,
    deliver: (message: IncomingMessage) => storeHeader(task, at, header, message, flags, socket),
  };
  return receiveMessage(task, socket, lengthOf(vectors), flags, into, destination, conclude);
}

/** Stores the address, the ancillary data and the flags of a received message. */
function storeHeader(
  task: Task,
  at: number,
  header: Header,
  message: IncomingMessage,
  flags: number,
  socket: Socket,
): Errno | undefined {
  const { address } = message;
  let nameLength = 0;
  if (header.name !== 0 && address !== undefined) {
    nameLength = address.length;
    const cut = address.subarray(0, Math.max(header.namelen, 0));
    const error = cut.length === 0 ? undefined : task.memory.copyOut(header.name, cut);
    if (error !== undefined) return error;
  }
  const wantsCredentials = socket.options.int(SOL_SOCKET, SO_PASSCRED) === 1;
  const control = controlFor(task, message.ancillary, header.controllen, flags, wantsCredentials);
  if (control.bytes.length > 0) {
    const error = task.memory.copyOut(header.control, control.bytes);
    if (error !== undefined) return error;
  }
  const resultFlags = (message.flags & (MSG_TRUNC | MSG_EOR | MSG_OOB)) | control.flags;
  return task.memory.copyOut(
    at,
    Msghdr.bytes({
      ...header,
      namelen: header.name === 0 ? header.namelen : nameLength,
      controllen: control.bytes.length,
      flags: resultFlags | (flags & MSG_CMSG_CLOEXEC),
    }),
  );
}

/** Gives the task the files of a message and encodes what came with it. */
function controlFor(
  task: Task,
  ancillary: Ancillary | undefined,
  room: number,
  flags: number,
  wantsCredentials: boolean,
): { readonly bytes: Uint8Array; readonly flags: number } {
  const parts: Uint8Array[] = [];
  let left = room;
  let truncated = false;
  const add = (type: number, body: Uint8Array) => {
    const len = Cmsghdr.size + body.length;
    if (len > left) {
      truncated = true;
      return;
    }
    const out = new Uint8Array(Math.min(align(len), left));
    out.set(Cmsghdr.bytes({ len, level: SOL_SOCKET, type }));
    out.set(body, Cmsghdr.size);
    parts.push(out);
    left -= out.length;
  };
  if (wantsCredentials) {
    // Whoever sent before the option was set is nobody: pid 0 and the overflow ids.
    const nobody = { pid: 0, uid: 65_534, gid: 65_534 };
    add(SCM_CREDENTIALS, Ucred.bytes(ancillary?.credentials ?? nobody));
  }
  const numbers: Uint8Array[] = [];
  const files = ancillary?.files ?? [];
  for (const file of files) {
    const fits = Cmsghdr.size + (numbers.length + 1) * 4 <= left;
    if (!fits) {
      truncated = true;
      file.close();
      continue;
    }
    const number = installFile(task, file, (flags & MSG_CMSG_CLOEXEC) !== 0);
    if (number instanceof Errno) truncated = true;
    else numbers.push(intBytes(number));
  }
  if (numbers.length > 0) add(SCM_RIGHTS, Buffer.concat(numbers));
  return { bytes: Buffer.concat(parts), flags: truncated ? MSG_CTRUNC : 0 };
}

export const MESSAGE: readonly Syscall[] = [
  syscall("sendto", {
    support: "full",
    args: { sockfd: fd, buf: inBuffer(2), len: long, flags: uint, destAddr: addr, addrlen: int },
    run: (task, { sockfd, buf, len, flags, destAddr, addrlen }, frame) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const region = { addr: frame.u64(1), count: Math.min(len, MAX_RW_COUNT) };
      if (socket.type !== SOCK_STREAM && region.count > buf.length) return EMSGSIZE;
      const address = destAddr === 0 ? undefined : addressAt(task, destAddr, addrlen);
      if (address instanceof Errno) return address;
      const piece = (done: number) => pieceOf(task, buf, region, done);
      return sendMessage(task, socket, region.count, piece, flags, address, undefined);
    },
  }),
  syscall("recvfrom", {
    support: "full",
    args: { sockfd: fd, buf: outBuffer(2), len: long, flags: uint, srcAddr: addr, addrlen: addr },
    run: (task, { sockfd, buf, flags, srcAddr, addrlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const into = (bytes: Uint8Array, start: number) => {
        buf.put(bytes, start);
        return undefined;
      };
      return receiveMessage(task, socket, buf.length, flags, into, {
        withAncillary: false,
        deliver: ({ address }) => {
          if (srcAddr === 0) return undefined;
          return storeAddress(task, srcAddr, addrlen, address ?? new Uint8Array(0));
        },
      });
    },
  }),
  syscall("sendmsg", {
    support: "full",
    args: { sockfd: fd, msg: addr, flags: uint },
    run: (task, { sockfd, msg, flags }) => {
      const socket = socketAt(task, sockfd);
      return socket instanceof Errno ? socket : sendAt(task, socket, msg, flags);
    },
  }),
  syscall("recvmsg", {
    support: { partial: "MSG_ERRQUEUE is always empty; IP-level ancillary data is not reported" },
    args: { sockfd: fd, msg: addr, flags: uint },
    run: (task, { sockfd, msg, flags }) => {
      const socket = socketAt(task, sockfd);
      return socket instanceof Errno ? socket : receiveAt(task, socket, msg, flags);
    },
  }),
  syscall("sendmmsg", {
    support: { partial: "when a later message would have to wait, what has been sent is returned" },
    args: { sockfd: fd, msgvec: addr, vlen: uint, flags: uint },
    run: (task, { sockfd, msgvec, vlen, flags }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      return manyMessages(task, msgvec, vlen, (at, index, conclude) =>
        sendAt(task, socket, at, index === 0 ? flags : flags | MSG_DONTWAIT, conclude),
      );
    },
  }),
  syscall("recvmmsg", {
    support: {
      partial: "only the first message is waited for; the timeout is then without effect",
    },
    args: { sockfd: fd, msgvec: addr, vlen: uint, flags: uint, timeout: addr },
    run: (task, { sockfd, msgvec, vlen, flags, timeout }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const limit = timespecAt(task, timeout);
      if (limit instanceof Errno) return limit;
      const own = flags & ~MSG_WAITFORONE;
      return manyMessages(task, msgvec, vlen, (at, index, conclude) =>
        receiveAt(task, socket, at, index === 0 ? own : own | MSG_DONTWAIT, conclude),
      );
    },
  }),
];

/** Moves messages until one fails; the first alone may wait, and then is the only one. */
function manyMessages(
  task: Task,
  at: number,
  count: number,
  move: (at: number, index: number, conclude: Conclude) => Result,
): Result {
  const limited = Math.min(count, IOV_MAX);
  for (let i = 0; i < limited; i++) {
    const place = at + i * MMSGHDR_SIZE;
    const conclude = (length: number) =>
      task.memory.copyOut(place + MMSG_LENGTH_AT, intBytes(length)) ?? 1;
    const moved = move(place, i, conclude);
    if (moved === PARKED) return moved;
    if (moved instanceof Errno) return i > 0 ? i : moved;
  }
  return limited;
}

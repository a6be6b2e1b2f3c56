/** Sockets and their names: socket(2), bind(2), connect(2), accept(2) and their kin. */
import {
  EAGAIN,
  EFAULT,
  EINPROGRESS,
  EINVAL,
  ENOPROTOOPT,
  ENOTSOCK,
  EOPNOTSUPP,
  Errno,
  errnoOf,
} from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/file.ts";
import {
  AF_UNIX,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_ERROR,
  SO_PEERCRED,
  SO_PROTOCOL,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_TYPE_MASK,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { i32, struct } from "../abi/struct.ts";
import { blockOn, PARKED, type WaitOptions } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import { HostSocket } from "../net/host-inet.ts";
import { intBytes } from "../net/options.ts";
import { credentialsOf, Socket } from "../net/socket.ts";
import { TcpSocket } from "../net/tcp.ts";
import { UdpSocket } from "../net/udp.ts";
import { POLLERR, POLLHUP, POLLOUT, type Pollable } from "../vfs/poll.ts";
import { addr, fd, int, structOut, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { installFile } from "./fd.ts";
import { fileAt, patience, waitToRead } from "./transfer.ts";

/** `struct sockaddr_storage`: no address is longer. */
const SOCKADDR_MAX = 128;
/** The longest option value anyone sets. */
const OPTION_MAX = 4096;
const Pair = struct({ first: i32, second: i32 });

/** The socket behind `fd`. @returns `EBADF`, `ENOTSOCK`. */
export function socketAt(task: Task, number: number): Socket | Errno {
  const file = fileAt(task, number);
  return file instanceof Errno || file instanceof Socket ? file : ENOTSOCK;
}

/** The address at `at`. @returns `EINVAL` for an impossible length, `EFAULT`. */
export function addressAt(task: Task, at: number, length: number): Uint8Array | Errno {
  if (length < 0 || length > SOCKADDR_MAX) return EINVAL;
  return task.memory.copyIn(at, length);
}

/** Stores as much of an address as the guest has room for, and how long it is. @returns `EINVAL`, `EFAULT`. */
export function storeAddress(
  task: Task,
  at: number,
  lengthAt: number,
  address: Uint8Array,
): Errno | undefined {
  const raw = task.memory.copyIn(lengthAt, 4);
  if (raw instanceof Errno) return raw;
  const room = new DataView(raw.buffer, raw.byteOffset).getInt32(0, true);
  if (room < 0) return EINVAL;
  const cut = address.subarray(0, room);
  const error = cut.length === 0 ? undefined : task.memory.copyOut(at, cut);
  return error ?? task.memory.copyOut(lengthAt, intBytes(address.length));
}

const nonblocking = (socket: Socket) => (socket.flags & O_NONBLOCK) !== 0;

function ownerOf(task: Task): { uid: number; gid: number } {
  return { uid: task.credentials.fsuid, gid: task.credentials.fsgid };
}

/** Waits for `source` on behalf of `socket`, which stays open meanwhile. */
export function waitForSocket(
  task: Task,
  socket: Socket,
  source: Pollable,
  attempt: () => number | Errno,
  options: WaitOptions = {},
): Result {
  const ended = () => {
    options.ended?.();
    socket.close();
  };
  const limits = patience(task, socket, "write");
  const result = blockOn(task, [{ source, events: POLLOUT }], attempt, {
    ...options,
    ...limits,
    ended,
  });
  if (result === PARKED) socket.retain();
  return result;
}

function connect(task: Task, socket: Socket, address: Uint8Array): Result {
  const first = socket.connect(address, task);
  if (first === undefined) return 0;
  if (nonblocking(socket) || (first !== EAGAIN && first !== EINPROGRESS)) return first;
  if (first === EAGAIN) {
    const again = () => socket.connect(address, task) ?? 0;
    return waitForSocket(task, socket, socket.waitToConnect(), again);
  }
  return waitForSocket(task, socket, socket, () => {
    if ((socket.poll() & (POLLOUT | POLLERR | POLLHUP)) === 0) return EAGAIN;
    const error = socket.takeError();
    return error === 0 ? 0 : errnoOf(error);
  });
}

function accept(task: Task, number: number, at: number, lengthAt: number, flags: number): Result {
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return EINVAL;
  const socket = socketAt(task, number);
  if (socket instanceof Errno) return socket;
  return waitToRead(task, socket, () => {
    const accepted = socket.accept();
    if (accepted instanceof Errno) return accepted;
    accepted.flags |= flags & O_NONBLOCK;
    if (at !== 0) {
      const peer = accepted.peerAddress();
      const error = storeAddress(
        task,
        at,
        lengthAt,
        peer instanceof Errno ? new Uint8Array(2) : peer,
      );
      if (error !== undefined) {
        accepted.close();
        return error;
      }
    }
    return installFile(task, accepted, (flags & SOCK_CLOEXEC) !== 0);
  });
}

/** Options of `SOL_SOCKET` that only can be read. */
function readOnlyOption(
  socket: Socket,
  level: number,
  name: number,
): Uint8Array | Errno | undefined {
  if (level !== SOL_SOCKET)
    return socket instanceof TcpSocket ? socket.info(level, name) : undefined;
  switch (name) {
    case SO_TYPE:
      return intBytes(socket.type);
    case SO_DOMAIN:
      return intBytes(socket.family);
    case SO_PROTOCOL:
      return intBytes(socket.protocol);
    case SO_ACCEPTCONN:
      return intBytes(socket.listening ? 1 : 0);
    case SO_ERROR:
      return intBytes(socket.takeError());
    case SO_PEERCRED: {
      const peer = socket.peerCredentials();
      if (peer instanceof Errno) return peer;
      return Buffer.concat([peer.pid, peer.uid, peer.gid].map(intBytes));
    }
    default:
      return undefined;
  }
}

function getOption(socket: Socket, level: number, name: number): Uint8Array | Errno {
  const own = readOnlyOption(socket, level, name);
  if (own !== undefined) return own;
  if (socket instanceof HostSocket) {
    const timeout = socket.options.get(level, name);
    // Timeouts are the sentry's, everything else is the host's.
    return level === SOL_SOCKET && !(timeout instanceof Errno) && timeout.length === 16
      ? timeout
      : socket.hostOption(level, name, OPTION_MAX);
  }
  return socket.options.get(level, name);
}

function setOption(
  socket: Socket,
  level: number,
  name: number,
  value: Uint8Array,
): Errno | undefined {
  if (socket instanceof UdpSocket) {
    const membership = socket.setMembership(level, name, value);
    if (membership !== undefined) return membership instanceof Errno ? membership : undefined;
  }
  const kept = socket.options.set(level, name, value);
  if (socket instanceof HostSocket) {
    const timeout = level === SOL_SOCKET && value.length === 16;
    return timeout ? kept : socket.optionChanged(level, name, value);
  }
  return kept ?? socket.optionChanged(level, name, value);
}

export const SOCKET: readonly Syscall[] = [
  syscall("socket", {
    support: {
      partial:
        "AF_UNIX, AF_INET, AF_INET6 and NETLINK_ROUTE; raw sockets for ICMP echo, others with the host's network only",
    },
    args: { domain: int, type: int, protocol: int },
    run: (task, { domain, type, protocol }) => {
      if ((type & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return EINVAL;
      const kind = type & SOCK_TYPE_MASK;
      const flags = type & O_NONBLOCK;
      const made = task.kernel.network.make.socket(domain, kind, protocol, flags, ownerOf(task));
      return made instanceof Errno ? made : installFile(task, made, (type & SOCK_CLOEXEC) !== 0);
    },
  }),
  syscall("socketpair", {
    support: "full",
    args: { domain: int, type: int, protocol: int, sv: structOut(Pair) },
    run: (task, { domain, type, protocol, sv }) => {
      if ((type & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return EINVAL;
      if (domain !== AF_UNIX) return EOPNOTSUPP;
      if (protocol !== 0 && protocol !== AF_UNIX) return EOPNOTSUPP;
      const flags = type & O_NONBLOCK;
      const { network } = task.kernel;
      const pair = network.make.pair(
        type & SOCK_TYPE_MASK,
        flags,
        ownerOf(task),
        credentialsOf(task),
      );
      if (pair instanceof Errno) return pair;
      const cloexec = (type & SOCK_CLOEXEC) !== 0;
      const first = installFile(task, pair[0], cloexec);
      if (first instanceof Errno) {
        pair[1].close();
        return first;
      }
      const second = installFile(task, pair[1], cloexec);
      const error = second instanceof Errno ? second : sv.write({ first, second });
      if (error === undefined) return 0;
      task.files.close(first);
      if (typeof second === "number") task.files.close(second);
      return error;
    },
  }),
  syscall("bind", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: int },
    run: (task, { sockfd, addr: at, addrlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const address = addressAt(task, at, addrlen);
      return address instanceof Errno ? address : (socket.bind(address, task) ?? 0);
    },
  }),
  syscall("listen", {
    support: "full",
    args: { sockfd: fd, backlog: int },
    run: (task, { sockfd, backlog }) => {
      const socket = socketAt(task, sockfd);
      return socket instanceof Errno ? socket : (socket.listen(backlog, task) ?? 0);
    },
  }),
  syscall("connect", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: int },
    run: (task, { sockfd, addr: at, addrlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const address = addressAt(task, at, addrlen);
      return address instanceof Errno ? address : connect(task, socket, address);
    },
  }),
  syscall("accept", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: addr },
    run: (task, { sockfd, addr: at, addrlen }) => accept(task, sockfd, at, addrlen, 0),
  }),
  syscall("accept4", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: addr, flags: uint },
    run: (task, { sockfd, addr: at, addrlen, flags }) => accept(task, sockfd, at, addrlen, flags),
  }),
  syscall("getsockname", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: addr },
    run: (task, { sockfd, addr: at, addrlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const address = socket.localAddress();
      return address instanceof Errno ? address : (storeAddress(task, at, addrlen, address) ?? 0);
    },
  }),
  syscall("getpeername", {
    support: "full",
    args: { sockfd: fd, addr, addrlen: addr },
    run: (task, { sockfd, addr: at, addrlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const address = socket.peerAddress();
      return address instanceof Errno ? address : (storeAddress(task, at, addrlen, address) ?? 0);
    },
  }),
  syscall("shutdown", {
    support: "full",
    args: { sockfd: fd, how: int },
    run: (task, { sockfd, how }) => {
      const socket = socketAt(task, sockfd);
      return socket instanceof Errno ? socket : (socket.shutdown(how) ?? 0);
    },
  }),
  syscall("setsockopt", {
    support: { partial: "within the container most options are remembered and change nothing" },
    args: { sockfd: fd, level: int, optname: int, optval: addr, optlen: int },
    run: (task, { sockfd, level, optname, optval, optlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      if (optlen < 0 || optlen > OPTION_MAX) return EINVAL;
      const value = task.memory.copyIn(optval, optlen);
      return value instanceof Errno ? value : (setOption(socket, level, optname, value) ?? 0);
    },
  }),
  syscall("getsockopt", {
    support: { partial: "options the sentry does not know answer ENOPROTOOPT" },
    args: { sockfd: fd, level: int, optname: int, optval: addr, optlen: addr },
    run: (task, { sockfd, level, optname, optval, optlen }) => {
      const socket = socketAt(task, sockfd);
      if (socket instanceof Errno) return socket;
      const raw = task.memory.copyIn(optlen, 4);
      if (raw instanceof Errno) return raw;
      const room = new DataView(raw.buffer, raw.byteOffset).getInt32(0, true);
      if (room < 0) return EINVAL;
      const value = getOption(socket, level, optname);
      if (value instanceof Errno) return value === EFAULT ? ENOPROTOOPT : value;
      const cut = value.subarray(0, room);
      const error = cut.length === 0 ? undefined : task.memory.copyOut(optval, cut);
      return error ?? task.memory.copyOut(optlen, intBytes(cut.length)) ?? 0;
    },
  }),
];

/** System V semaphores and message queues. See sysvipc(7). */
import {
  E2BIG,
  EACCES,
  EAGAIN,
  EIDRM,
  EINTR,
  EINVAL,
  EPERM,
  ERESTARTNOHAND,
  Errno,
} from "../abi/errno.ts";
import { ipcPerm, Msginfo, MsqidDs, SEMID_DS, Sembuf, Seminfo } from "../abi/ipc-structs.ts";
import { MESSAGE_MAX, type MessageQueue, QUEUE_BYTES } from "../ipc/messages.ts";
import {
  IPC_NOWAIT,
  IPC_READ,
  IPC_WRITE,
  type IpcCreation,
  type IpcObject,
  type IpcTable,
} from "../ipc/object.ts";
import {
  mayNotWait,
  SEMAPHORE_MAX,
  SEMAPHORE_OPERATIONS,
  SEMAPHORE_SETS,
  SEMAPHORES,
  SEMAPHORES_PER_SET,
  type SemaphoreSet,
  type SemaphoreWaiter,
} from "../ipc/semaphores.ts";
import { blockOn, PARKED } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SYS_RESOURCE, isCapable } from "../vfs/credentials.ts";
import { addr, int, long, size, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { timespecAt } from "./timespec.ts";

/** Commands of semctl(2), msgctl(2) and shmctl(2). */
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
const MSG_STAT = 11;
const MSG_INFO = 12;
const MSG_STAT_ANY = 13;
const GETPID = 11;
const GETVAL = 12;
const GETALL = 13;
const GETNCNT = 14;
const GETZCNT = 15;
const SETVAL = 16;
const SETALL = 17;
const SEM_STAT = 18;
const SEM_INFO = 19;
const SEM_STAT_ANY = 20;
const MSG_EXCEPT = 0o20000;
const MSG_COPY = 0o40000;
const POINTER = 8;

/** Who makes an object, and for which key. */
export function ipcCreation(task: Task, key: number): Omit<IpcCreation, "id" | "mode"> {
  return { key, credentials: task.credentials, pid: task.process.pid };
}

/**
 * Tells the caller of an object: `IPC_STAT` by its identifier, the kind's own `_STAT` by its place, which
 * return the identifier, and its `_STAT_ANY` whoever asks.
 * @param ofKind the number of the kind's `_STAT`.
 * @returns `EINVAL`, `EACCES`, or what `tell` says.
 */
export function ipcStat<T extends IpcObject>(
  task: Task,
  table: IpcTable<T>,
  id: number,
  command: number,
  ofKind: number,
  tell: (object: T) => Errno | undefined,
): number | Errno {
  const object = command === IPC_STAT ? table.find(id) : table.at(id);
  if (object instanceof Errno) return object;
  const asks = command === IPC_STAT || command === ofKind;
  if (asks && !object.allows(task.credentials, IPC_READ)) return EACCES;
  return tell(object) ?? (command === IPC_STAT ? 0 : object.id);
}

function semaphoreOperations(task: Task, at: number, count: number) {
  const raw = task.memory.copyIn(at, count * Sembuf.size);
  if (raw instanceof Errno) return raw;
  return Array.from({ length: count }, (_, i) => Sembuf.parse(raw.subarray(i * Sembuf.size)));
}

function semop(task: Task, id: number, at: number, count: number, timeoutAt: number): Result {
  const timeout = timeoutAt === 0 ? undefined : timespecAt(task, timeoutAt);
  if (timeout instanceof Errno) return timeout;
  if (count < 1 || id < 0) return EINVAL;
  if (count > SEMAPHORE_OPERATIONS) return E2BIG;
  const operations = semaphoreOperations(task, at, count);
  if (operations instanceof Errno) return operations;
  const set = task.kernel.ipc.semaphores.find(id);
  if (set instanceof Errno) return set;
  const alters = operations.some(({ change }) => change !== 0);
  if (!set.allows(task.credentials, alters ? IPC_WRITE : IPC_READ)) return EACCES;
  return operate(task, set, { operations, blockedBy: undefined }, timeout);
}

function operate(
  task: Task,
  set: SemaphoreSet,
  waiter: SemaphoreWaiter,
  timeout: bigint | undefined,
): Result {
  const { process } = task;
  const attempt = () => {
    if (set.removed) return EIDRM;
    return set.operate(waiter, process.pid, process.ipc.undoFor(set)) ?? 0;
  };
  const first = attempt();
  if (first !== EAGAIN || mayNotWait(waiter)) return first;
  set.waiters.add(waiter);
  const deadlineNs = timeout === undefined ? undefined : task.kernel.reactor.now() + timeout;
  const result = blockOn(task, [{ source: set, events: 1 }], attempt, {
    deadlineNs,
    interrupted: EINTR,
    ended: () => set.waiters.delete(waiter),
  });
  if (result !== PARKED) set.waiters.delete(waiter);
  return result;
}

function statSet(task: Task, set: SemaphoreSet, at: number): Errno | undefined {
  const { otime, ctime, values } = set;
  const bytes = SEMID_DS[task.process.isa].bytes({
    perm: ipcPerm(set),
    otime,
    ctime,
    nsems: values.length,
  });
  return task.memory.copyOut(at, bytes);
}

function semaphoreInfo(task: Task, at: number, used: boolean): number | Errno {
  const { semaphores } = task.kernel.ipc;
  const bytes = Seminfo.bytes({
    semmap: SEMAPHORES,
    semmni: SEMAPHORE_SETS,
    semmns: SEMAPHORES,
    semmnu: SEMAPHORES,
    semmsl: SEMAPHORES_PER_SET,
    semopm: SEMAPHORE_OPERATIONS,
    semume: SEMAPHORE_OPERATIONS,
    semusz: used ? semaphores.size : 20,
    semvmx: SEMAPHORE_MAX,
    semaem: used ? semaphores.semaphores : SEMAPHORE_MAX,
  });
  return task.memory.copyOut(at, bytes) ?? semaphores.highest;
}

/** The commands that look at or set values. */
function semaphoreValues(
  task: Task,
  set: SemaphoreSet,
  number: number,
  command: number,
  argument: number,
): number | Errno {
  const sets = command === SETVAL || command === SETALL;
  if (!set.allows(task.credentials, sets ? IPC_WRITE : IPC_READ)) return EACCES;
  const { values, pids } = set;
  const { ipc, pid } = task.process;
  if (command === GETALL) {
    return task.memory.copyOut(argument, new Uint8Array(Uint16Array.from(values).buffer)) ?? 0;
  }
  if (command === SETALL) {
    const raw = task.memory.copyIn(argument, 2 * values.length);
    if (raw instanceof Errno) return raw;
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const wanted = Array.from(values, (_, i) => view.getUint16(2 * i, true));
    const error = set.assign(0, wanted, pid);
    if (error === undefined) ipc.forgetUndo(set, 0, values.length);
    return error ?? 0;
  }
  if (number < 0 || number >= values.length) return EINVAL;
  switch (command) {
    case GETPID:
      return pids[number] ?? 0;
    case GETVAL:
      return values[number] ?? 0;
    case GETNCNT:
      return set.waiting(number, false);
    case GETZCNT:
      return set.waiting(number, true);
    default: {
      const error = set.assign(number, [argument | 0], pid);
      if (error === undefined) forgetUndo(task, set, number);
      return error ?? 0;
    }
  }
}

/** A value that was set is nobody's to undo. */
function forgetUndo(task: Task, set: SemaphoreSet, number: number): void {
  for (const { ipc } of task.kernel.pids.processes()) ipc.forgetUndo(set, number, 1);
}

function semctl(task: Task, id: number, number: number, command: number, argument: number): Result {
  const { semaphores } = task.kernel.ipc;
  if (id < 0) return EINVAL;
  switch (command) {
    case IPC_INFO:
    case SEM_INFO:
      return semaphoreInfo(task, argument, command === SEM_INFO);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
      return ipcStat(task, semaphores, id, command, SEM_STAT, (set) =>
        statSet(task, set, argument),
      );
    case IPC_SET: {
      const layout = SEMID_DS[task.process.isa];
      const raw = task.memory.copyIn(argument, layout.size);
      if (raw instanceof Errno) return raw;
      const set = semaphores.owned(id, task.credentials);
      if (set instanceof Errno) return set;
      const { uid, gid, mode } = layout.parse(raw).perm;
      set.setOwner(uid, gid, mode);
      return 0;
    }
    case IPC_RMID: {
      const set = semaphores.owned(id, task.credentials);
      if (set instanceof Errno) return set;
      semaphores.remove(set);
      return 0;
    }
    default: {
      if (command < GETPID || command > SETALL) return EINVAL;
      const set = semaphores.find(id);
      return set instanceof Errno ? set : semaphoreValues(task, set, number, command, argument);
    }
  }
}

function msgsnd(task: Task, id: number, at: number, length: number, flags: number): Result {
  if (length > MESSAGE_MAX || id < 0) return EINVAL;
  const raw = task.memory.copyIn(at, POINTER + length);
  if (raw instanceof Errno) return raw;
  const type = Number(new DataView(raw.buffer, raw.byteOffset).getBigInt64(0, true));
  if (type < 1) return EINVAL;
  const message = { type, text: raw.subarray(POINTER) };
  const queue = task.kernel.ipc.queues.find(id);
  if (queue instanceof Errno) return queue;
  const attempt = () => {
    if (!queue.allows(task.credentials, IPC_WRITE)) return EACCES;
    return queue.removed ? EIDRM : (queue.send(message, task.process.pid) ?? 0);
  };
  return waitForQueue(task, queue, attempt, flags);
}

function msgrcv(
  task: Task,
  id: number,
  at: number,
  room: number,
  type: number,
  flags: number,
): Result {
  if (id < 0 || room > Number.MAX_SAFE_INTEGER) return EINVAL;
  const copies = (flags & MSG_COPY) !== 0;
  if (copies && ((flags & IPC_NOWAIT) === 0 || (flags & MSG_EXCEPT) !== 0)) return EINVAL;
  const queue = task.kernel.ipc.queues.find(id);
  if (queue instanceof Errno) return queue;
  const attempt = () => {
    if (!queue.allows(task.credentials, IPC_READ)) return EACCES;
    if (queue.removed) return EIDRM;
    const message = queue.receive(room, type, flags, task.process.pid);
    if (message instanceof Errno) return message;
    const bytes = new Uint8Array(POINTER + message.text.length);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(message.type), true);
    bytes.set(message.text, POINTER);
    return task.memory.copyOut(at, bytes) ?? message.text.length;
  };
  return waitForQueue(task, queue, attempt, flags);
}

function waitForQueue(
  task: Task,
  queue: MessageQueue,
  attempt: () => number | Errno,
  flags: number,
): Result {
  if ((flags & IPC_NOWAIT) !== 0) return attempt();
  return blockOn(task, [{ source: queue, events: 1 }], attempt, { interrupted: ERESTARTNOHAND });
}

function statQueue(task: Task, queue: MessageQueue, at: number): Errno | undefined {
  const { stime, rtime, ctime, bytes: cbytes, messages, limit, lspid, lrpid } = queue;
  const bytes = MsqidDs.bytes({
    perm: ipcPerm(queue),
    stime,
    rtime,
    ctime,
    cbytes,
    qnum: messages.length,
    qbytes: limit,
    lspid,
    lrpid,
    unused4: 0,
    unused5: 0,
  });
  return task.memory.copyOut(at, bytes);
}

function messageInfo(task: Task, at: number, used: boolean): number | Errno {
  const { queues } = task.kernel.ipc;
  const all = queues.all();
  const messages = all.reduce((sum, queue) => sum + queue.messages.length, 0);
  const stored = all.reduce((sum, queue) => sum + queue.bytes, 0);
  const bytes = Msginfo.bytes({
    msgpool: used ? all.length : 512_000,
    msgmap: used ? messages : QUEUE_BYTES,
    msgmax: MESSAGE_MAX,
    msgmnb: QUEUE_BYTES,
    msgmni: 32_000,
    msgssz: 16,
    msgtql: used ? stored : QUEUE_BYTES,
    msgseg: 0xffff,
  });
  return task.memory.copyOut(at, bytes) ?? queues.highest;
}

function setQueue(task: Task, id: number, at: number): number | Errno {
  const raw = task.memory.copyIn(at, MsqidDs.size);
  if (raw instanceof Errno) return raw;
  const queue = task.kernel.ipc.queues.owned(id, task.credentials);
  if (queue instanceof Errno) return queue;
  const { perm, qbytes } = MsqidDs.parse(raw);
  if (qbytes > QUEUE_BYTES && !isCapable(task.credentials, CAP_SYS_RESOURCE)) return EPERM;
  queue.setOwner(perm.uid, perm.gid, perm.mode);
  queue.limit = qbytes;
  queue.changed();
  return 0;
}

function msgctl(task: Task, id: number, command: number, at: number): Result {
  const { queues } = task.kernel.ipc;
  if (id < 0) return EINVAL;
  switch (command) {
    case IPC_INFO:
    case MSG_INFO:
      return messageInfo(task, at, command === MSG_INFO);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
      return ipcStat(task, queues, id, command, MSG_STAT, (queue) => statQueue(task, queue, at));
    case IPC_SET:
      return setQueue(task, id, at);
    case IPC_RMID: {
      const queue = queues.owned(id, task.credentials);
      if (queue instanceof Errno) return queue;
      queues.remove(queue);
      return 0;
    }
    default:
      return EINVAL;
  }
}

export const IPC: readonly Syscall[] = [
  syscall("semget", {
    support: "full",
    args: { key: int, nsems: int, semflg: int },
    run: (task, { key, nsems, semflg }) =>
      task.kernel.ipc.semaphores.getSet(ipcCreation(task, key), nsems, semflg),
  }),
  syscall("semop", {
    support: "full",
    args: { semid: int, sops: addr, nsops: uint },
    run: (task, { semid, sops, nsops }) => semop(task, semid, sops, nsops, 0),
  }),
  syscall("semtimedop", {
    support: "full",
    args: { semid: int, sops: addr, nsops: uint, timeout: addr },
    run: (task, { semid, sops, nsops, timeout }) => semop(task, semid, sops, nsops, timeout),
  }),
  syscall("semctl", {
    support: "full",
    args: { semid: int, semnum: int, cmd: int, arg: addr },
    run: (task, { semid, semnum, cmd, arg }) => semctl(task, semid, semnum, cmd, arg),
  }),
  syscall("msgget", {
    support: "full",
    args: { key: int, msgflg: int },
    run: (task, { key, msgflg }) => task.kernel.ipc.queues.getQueue(ipcCreation(task, key), msgflg),
  }),
  syscall("msgsnd", {
    support: "full",
    args: { msqid: int, msgp: addr, msgsz: size, msgflg: int },
    run: (task, { msqid, msgp, msgsz, msgflg }) => msgsnd(task, msqid, msgp, msgsz, msgflg),
  }),
  syscall("msgrcv", {
    support: "full",
    args: { msqid: int, msgp: addr, msgsz: size, msgtyp: long, msgflg: int },
    run: (task, { msqid, msgp, msgsz, msgtyp, msgflg }) =>
      msgrcv(task, msqid, msgp, msgsz, msgtyp, msgflg),
  }),
  syscall("msgctl", {
    support: "full",
    args: { msqid: int, cmd: int, buf: addr },
    run: (task, { msqid, cmd, buf }) => msgctl(task, msqid, cmd, buf),
  }),
];

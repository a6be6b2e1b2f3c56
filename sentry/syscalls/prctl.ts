/** The operations of prctl(2), one function each. */
import { EINVAL, EPERM, Errno } from "../abi/errno.ts";
import { SIGMAX } from "../abi/signal.ts";
import { SECBIT_KEEP_CAPS } from "../kernel/capabilities.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_LAST, CAP_SETPCAP, isCapable } from "../vfs/credentials.ts";

/** The registers after the operation. */
type Operands = readonly [number, number, number, number];
type Operation = (task: Task, operands: Operands) => number | Errno;

/** TASK_COMM_LEN without the NUL. */
const NAME_MAX = 15;
const DEFAULT_SLACK_NS = 50_000;
const AMBIENT_IS_SET = 1;
const AMBIENT_RAISE = 2;
const AMBIENT_LOWER = 3;
const AMBIENT_CLEAR_ALL = 4;
/** All SECBIT_* and their locks. */
const SECBITS = 0xff;

function storeInt(task: Task, at: number, value: number): number | Errno {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return task.memory.copyOut(at, bytes) ?? 0;
}

function setDeathSignal(task: Task, [signo]: Operands): number | Errno {
  if (signo > SIGMAX) return EINVAL;
  task.process.parentDeathSignal = signo;
  return 0;
}

function setDumpable(task: Task, [value]: Operands): number | Errno {
  if (value > 1) return EINVAL;
  task.process.dumpable = value;
  return 0;
}

function setName(task: Task, [at]: Operands): number | Errno {
  // At most 16 bytes are looked at; a longer name is cut.
  const name = task.memory.copyInString(at, NAME_MAX + 1);
  if (!(name instanceof Errno)) {
    task.name = name;
    return 0;
  }
  const raw = task.memory.copyIn(at, NAME_MAX);
  if (raw instanceof Errno) return raw;
  task.name = Buffer.from(raw).toString("latin1");
  return 0;
}

function getName(task: Task, [at]: Operands): number | Errno {
  const bytes = Buffer.alloc(NAME_MAX + 1);
  bytes.write(task.name, "latin1");
  return task.memory.copyOut(at, bytes) ?? 0;
}

function setSecurebits(task: Task, [bits]: Operands): number | Errno {
  const { credentials } = task;
  if (bits > SECBITS) return EINVAL;
  if (!isCapable(credentials, CAP_SETPCAP)) return EPERM;
  task.credentials = { ...credentials, securebits: bits };
  return 0;
}

function setKeepCaps(task: Task, [value]: Operands): number | Errno {
  if (value > 1) return EINVAL;
  const { credentials } = task;
  const others = credentials.securebits & ~SECBIT_KEEP_CAPS;
  task.credentials = { ...credentials, securebits: others | (value ? SECBIT_KEEP_CAPS : 0) };
  return 0;
}

function readBounding(task: Task, [capability]: Operands): number | Errno {
  if (capability > CAP_LAST) return EINVAL;
  return Number((task.credentials.bounding >> BigInt(capability)) & 1n);
}

function dropBounding(task: Task, [capability]: Operands): number | Errno {
  const { credentials } = task;
  if (!isCapable(credentials, CAP_SETPCAP)) return EPERM;
  if (capability > CAP_LAST) return EINVAL;
  const bounding = credentials.bounding & ~(1n << BigInt(capability));
  task.credentials = { ...credentials, bounding };
  return 0;
}

function ambient(task: Task, [operation, capability, third, fourth]: Operands): number | Errno {
  const { credentials } = task;
  if (third !== 0 || fourth !== 0) return EINVAL;
  if (operation === AMBIENT_CLEAR_ALL) {
    if (capability !== 0) return EINVAL;
    task.credentials = { ...credentials, ambient: 0n };
    return 0;
  }
  if (capability > CAP_LAST) return EINVAL;
  const bit = 1n << BigInt(capability);
  switch (operation) {
    case AMBIENT_IS_SET:
      return credentials.ambient & bit ? 1 : 0;
    case AMBIENT_RAISE:
      if (!(credentials.permitted & credentials.inheritable & bit)) return EPERM;
      task.credentials = { ...credentials, ambient: credentials.ambient | bit };
      return 0;
    case AMBIENT_LOWER:
      task.credentials = { ...credentials, ambient: credentials.ambient & ~bit };
      return 0;
    default:
      return EINVAL;
  }
}

function setNoNewPrivileges(task: Task, [value, ...rest]: Operands): number | Errno {
  if (value !== 1 || rest.some((operand) => operand !== 0)) return EINVAL;
  task.process.noNewPrivileges = true;
  return 0;
}

function setSlack(task: Task, [ns]: Operands): number {
  task.timerSlackNs = ns === 0 ? DEFAULT_SLACK_NS : ns;
  return 0;
}

/** By number, `<linux/prctl.h>`; what is not here is `EINVAL`. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [1, setDeathSignal],
  [2, (task, [at]) => storeInt(task, at, task.process.parentDeathSignal)],
  [3, (task) => task.process.dumpable],
  [4, setDumpable],
  [7, (task) => (task.credentials.securebits & SECBIT_KEEP_CAPS ? 1 : 0)],
  [8, setKeepCaps],
  // PR_GET_TIMING, PR_SET_TIMING: statistical timing is all there is.
  [13, () => 0],
  [14, (_task, [mode]) => (mode === 0 ? 0 : EINVAL)],
  [15, setName],
  [16, getName],
  [21, () => 0],
  [23, readBounding],
  [24, dropBounding],
  [27, (task) => task.credentials.securebits],
  [28, setSecurebits],
  [29, setSlack],
  [30, (task) => task.timerSlackNs],
  // PR_SET_MM moves the kernel's idea of a program's memory: CAP_SYS_RESOURCE.
  [35, () => EPERM],
  [
    36,
    (task, [value]) => {
      task.process.subreaper = value !== 0;
      return 0;
    },
  ],
  [37, (task, [at]) => storeInt(task, at, task.process.subreaper ? 1 : 0)],
  [38, setNoNewPrivileges],
  [39, (task) => (task.process.noNewPrivileges ? 1 : 0)],
  [47, ambient],
]);

/** See prctl(2). @returns `EINVAL` for an operation that is not supported. */
export function prctl(task: Task, operation: number, operands: Operands): number | Errno {
  return OPERATIONS.get(operation)?.(task, operands) ?? EINVAL;
}

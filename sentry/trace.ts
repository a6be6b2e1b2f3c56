/** The strace-like line per call that `DD_TRACE=1` asks for. */
import { Errno } from "./abi/errno.ts";
import { type Isa, namesByNumber } from "./abi/numbers.ts";
import type { Task } from "./kernel/task.ts";
import type { CallFrame, Syscall } from "./syscalls/define.ts";

const NAMES = { x86_64: namesByNumber("x86_64"), arm64: namesByNumber("arm64") } as const;

/** A call as strace shows it, without its result. Pointers are followed only where the row says what they mean. */
export function formatCall(
  isa: Isa,
  number: number,
  row: Syscall | undefined,
  frame: CallFrame,
): string {
  if (row === undefined) {
    const raw = [0, 1, 2, 3, 4, 5].map((i) => `0x${frame.u64(i).toString(16)}`);
    return `${NAMES[isa][number] ?? `syscall_${number}`}(${raw.join(", ")})`;
  }
  const args = row.args.map(({ arg }, i) => arg.format(frame, i));
  return `${row.name}(${args.join(", ")})`;
}

/** A result as strace shows it. */
export function formatResult(result: number | Errno | undefined): string {
  if (result === undefined) return "?";
  if (!(result instanceof Errno)) {
    return Math.abs(result) < 4096 ? String(result) : `0x${result.toString(16)}`;
  }
  return result.number >= 512 ? `? ${result}` : `-1 ${result}`;
}

/** Prints a line when the call that `task` begins has its result. */
export function traceCall(
  task: Task,
  number: number,
  row: Syscall | undefined,
  frame: CallFrame,
): void {
  const { trace } = task.kernel;
  if (trace === undefined) return;
  const { tid } = task;
  const call = formatCall(task.process.isa, number, row, frame);
  task.observe((result) => trace(`[${tid}] ${call} = ${formatResult(result)}`));
}

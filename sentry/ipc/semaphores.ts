/** Sets of semaphores. See semop(2). */
import { EAGAIN, EFBIG, EINVAL, ENOSPC, ERANGE, type Errno } from "../abi/errno.ts";
import { IPC_NOWAIT, type IpcCreation, IpcObject, IpcTable, ipcNow } from "./object.ts";

/** SEMMSL, SEMMNI, SEMOPM, SEMVMX: Linux's defaults. See semget(2). */
export const SEMAPHORES_PER_SET = 32_000;
export const SEMAPHORE_SETS = 32_000;
export const SEMAPHORE_OPERATIONS = 500;
export const SEMAPHORE_MAX = 32_767;
/** All semaphores of a container: less than Linux's SEMMNS, for the sentry's own memory. */
export const SEMAPHORES = 1 << 20;
const SEM_UNDO = 0x1000;

/** `struct sembuf`. */
export interface SemaphoreOperation {
  readonly number: number;
  readonly change: number;
  readonly flags: number;
}

/** Somebody who waits, and for which of its operations. */
export interface SemaphoreWaiter {
  readonly operations: readonly SemaphoreOperation[];
  blockedBy: SemaphoreOperation | undefined;
}

/** What a process gives back at its end, by semaphore. */
export type UndoValues = Map<number, number>;

export class SemaphoreSet extends IpcObject {
  readonly values: Int32Array;
  /** Who changed each last. */
  readonly pids: Int32Array;
  otime = 0;
  readonly waiters = new Set<SemaphoreWaiter>();

  constructor(creation: IpcCreation, count: number) {
    super(creation);
    this.values = new Int32Array(count);
    this.pids = new Int32Array(count);
  }

  /**
   * All operations or none.
   * @param undo the caller's values for this set; changed by operations with SEM_UNDO.
   * @returns `EAGAIN` with the operation that must wait in `waiter`; `EFBIG`, `ERANGE`.
   */
  operate(waiter: SemaphoreWaiter, pid: number, undo: UndoValues): Errno | undefined {
    const { operations } = waiter;
    if (operations.some(({ number }) => number >= this.values.length)) return EFBIG;
    const values = Int32Array.from(this.values);
    const undone = new Map(undo);
    for (const operation of operations) {
      const { number, change, flags } = operation;
      const old = values[number] ?? 0;
      const value = old + change;
      if (change === 0 ? old !== 0 : value < 0) {
        waiter.blockedBy = operation;
        return EAGAIN;
      }
      if (value > SEMAPHORE_MAX) return ERANGE;
      if ((flags & SEM_UNDO) !== 0 && change !== 0) {
        const adjust = (undone.get(number) ?? 0) - change;
        if (adjust < -SEMAPHORE_MAX - 1 || adjust > SEMAPHORE_MAX) return ERANGE;
        undone.set(number, adjust);
      }
      values[number] = value;
    }
    this.values.set(values);
    for (const { number } of operations) this.pids[number] = pid;
    for (const [number, adjust] of undone) undo.set(number, adjust);
    this.otime = ipcNow();
    if (operations.some(({ change }) => change !== 0)) this.changed();
    return undefined;
  }

  /** A process ends: what it did with SEM_UNDO is taken back as far as values allow. */
  undo(undo: UndoValues, pid: number): void {
    for (const [number, adjust] of undo) {
      const value = (this.values[number] ?? 0) + adjust;
      this.values[number] = Math.max(0, Math.min(SEMAPHORE_MAX, value));
      this.pids[number] = pid;
    }
    this.otime = ipcNow();
    this.changed();
  }

  /** SETVAL and SETALL. @returns `ERANGE`, with nothing changed. */
  assign(first: number, values: ArrayLike<number>, pid: number): Errno | undefined {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0;
      if (value < 0 || value > SEMAPHORE_MAX) return ERANGE;
    }
    for (let i = 0; i < values.length; i++) {
      this.values[first + i] = values[i] ?? 0;
      this.pids[first + i] = pid;
    }
    this.ctime = ipcNow();
    this.changed();
    return undefined;
  }

  /** GETNCNT, GETZCNT: how many wait for a semaphore to grow, or to become 0. */
  waiting(number: number, forZero: boolean): number {
    let count = 0;
    for (const { blockedBy } of this.waiters) {
      if (blockedBy?.number === number && (blockedBy.change === 0) === forZero) count++;
    }
    return count;
  }
}

/** Whether an operation that cannot be done now fails instead of waiting. */
export function mayNotWait({ blockedBy }: SemaphoreWaiter): boolean {
  return blockedBy !== undefined && (blockedBy.flags & IPC_NOWAIT) !== 0;
}

export class SemaphoreTable extends IpcTable<SemaphoreSet> {
  constructor() {
    super(SEMAPHORE_SETS);
  }

  /** How many semaphores there are. */
  get semaphores(): number {
    return this.all().reduce((sum, { values }) => sum + values.length, 0);
  }

  /** See semget(2). */
  getSet(creation: Omit<IpcCreation, "id" | "mode">, count: number, flags: number): number | Errno {
    if (count < 0 || count > SEMAPHORES_PER_SET) return EINVAL;
    return this.get(
      creation,
      flags,
      ({ values }) => (count > values.length ? EINVAL : undefined),
      (parts) => {
        if (count === 0) return EINVAL;
        return this.semaphores + count > SEMAPHORES ? ENOSPC : new SemaphoreSet(parts, count);
      },
    );
  }
}

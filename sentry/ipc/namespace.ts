/** A container's System V IPC, and what one process owns of it. See sysvipc(7). */
import { MessageTable } from "./messages.ts";
import { SegmentTable, type SharedSegment } from "./segments.ts";
import { type SemaphoreSet, SemaphoreTable, type UndoValues } from "./semaphores.ts";

export class IpcNamespace {
  readonly semaphores = new SemaphoreTable();
  readonly queues = new MessageTable();
  readonly segments = new SegmentTable();
}

const NO_UNDO = {};

/** What a process has attached, and what is undone at its end. */
export class ProcessIpc {
  readonly #namespace: IpcNamespace;
  readonly #pid: number;
  readonly #attached = new Map<SharedSegment, number>();
  readonly #undo = new Map<SemaphoreSet, UndoValues>();

  constructor(namespace: IpcNamespace, pid: number) {
    this.#namespace = namespace;
    this.#pid = pid;
  }

  /** What kcmp(2) compares: processes that have used SEM_UNDO have nothing in common. */
  get undoOwner(): object {
    for (const { size } of this.#undo.values()) if (size > 0) return this;
    return NO_UNDO;
  }

  /** The values for a set that SEM_UNDO operations change. */
  undoFor(set: SemaphoreSet): UndoValues {
    let values = this.#undo.get(set);
    if (values === undefined) {
      for (const known of this.#undo.keys()) if (known.removed) this.#undo.delete(known);
      values = new Map();
      this.#undo.set(set, values);
    }
    return values;
  }

  /** SETVAL and SETALL: nothing is to be undone for these semaphores any more. */
  forgetUndo(set: SemaphoreSet, first: number, count: number): void {
    const values = this.#undo.get(set);
    for (const number of values?.keys() ?? []) {
      if (number >= first && number < first + count) values?.delete(number);
    }
  }

  attach(segment: SharedSegment): void {
    this.#attached.set(segment, (this.#attached.get(segment) ?? 0) + 1);
    this.#namespace.segments.attach(segment, this.#pid);
  }

  /** @returns whether the process had the segment attached. */
  detach(segment: SharedSegment): boolean {
    const count = this.#attached.get(segment);
    if (count === undefined) return false;
    if (count === 1) this.#attached.delete(segment);
    else this.#attached.set(segment, count - 1);
    this.#namespace.segments.detach(segment, this.#pid);
    return true;
  }

  /** The segments that are attached. */
  attached(): Iterable<SharedSegment> {
    return this.#attached.keys();
  }

  /** fork(2): attachments are copied, undo values are not. */
  inherit(parent: ProcessIpc): void {
    for (const [segment, count] of parent.#attached) {
      for (let i = 0; i < count; i++) this.attach(segment);
    }
  }

  /** The address space is gone: execve(2), and the end. */
  detachAll(): void {
    for (const [segment, count] of [...this.#attached]) {
      for (let i = 0; i < count; i++) this.detach(segment);
    }
  }

  /** The process ends. */
  end(): void {
    this.detachAll();
    for (const [set, values] of this.#undo) if (!set.removed) set.undo(values, this.#pid);
    this.#undo.clear();
  }
}

import type { Timer } from "./reactor.ts";

interface Pending {
  readonly deadlineNs: bigint;
  /** Ties are fired in the order in which they were added. */
  readonly order: number;
  readonly fire: () => void;
  /** Where it lies in the heap; -1 once it has left. */
  index: number;
}

/** Timers by deadline: a binary heap. */
export class TimerHeap {
  readonly #heap: Pending[] = [];
  #order = 0;

  /** The earliest deadline. */
  get next(): bigint | undefined {
    return this.#heap[0]?.deadlineNs;
  }

  add(deadlineNs: bigint, fire: () => void): Timer {
    const pending: Pending = { deadlineNs, order: this.#order++, fire, index: this.#heap.length };
    this.#heap.push(pending);
    this.#up(pending);
    return { cancel: () => this.#remove(pending) };
  }

  /** Fires what is due at `now`; timers added meanwhile wait for the next call. */
  run(now: bigint): void {
    const end = this.#order;
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.deadlineNs > now || first.order >= end) return;
      this.#remove(first);
      first.fire();
    }
  }

  #remove(pending: Pending): void {
    const { index } = pending;
    if (index < 0) return;
    pending.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === pending) return;
    this.#place(last, index);
    this.#up(last);
    this.#down(last);
  }

  #place(pending: Pending, index: number): void {
    this.#heap[index] = pending;
    pending.index = index;
  }

  #up(pending: Pending): void {
    while (pending.index > 0) {
      const { index } = pending;
      const above = (index - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || !before(pending, parent)) return;
      this.#place(parent, index);
      this.#place(pending, above);
    }
  }

  #down(pending: Pending): void {
    for (;;) {
      const { index } = pending;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, pending)) return;
      this.#place(pending, child.index);
      this.#place(child, index);
    }
  }
}

function before(a: Pending, b: Pending): boolean {
  return a.deadlineNs === b.deadlineNs ? a.order < b.order : a.deadlineNs < b.deadlineNs;
}

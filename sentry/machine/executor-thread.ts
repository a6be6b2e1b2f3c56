import { native } from "../../ring/native.ts";
import { Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import { PARKED, type Parked } from "../kernel/blocking.ts";
import type { CloneSpec, GuestThread, MappedFile, SignalDelivery } from "../kernel/machine.ts";
import type { GuestMemory } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import type { AddressSpace, Executor } from "./address-space.ts";
import type { ExecutorMachine } from "./executor-machine.ts";
import { ThreadFrame } from "./frame.ts";
import { SIGKICK, SIGNAL_FRAME, Verb } from "./protocol.ts";
import { StagingArea } from "./staging.ts";

const PROT_EXEC = 4;
const F_DUPFD_CLOEXEC = 1030;

/** A guest thread behind a ring slot. */
export class ExecutorThread implements GuestThread {
  readonly space: AddressSpace;
  readonly slot: number;
  readonly executor: Executor;
  readonly task: Task;
  readonly frame: ThreadFrame;
  /** Its host id, once it was needed and is known. */
  hostTid: number | undefined;
  /** Its last submission has not been answered. */
  inCall = false;
  /** How many submissions there have been. */
  calls = 0;
  readonly #machine: ExecutorMachine;
  readonly #operands = new BigUint64Array(6);

  constructor(machine: ExecutorMachine, executor: Executor, slot: number, task: Task) {
    this.#machine = machine;
    this.executor = executor;
    this.space = executor.space;
    this.slot = slot;
    this.task = task;
    this.frame = new ThreadFrame(
      () => this.space.memory,
      new StagingArea(machine.hub.handle, executor.space.ring, slot),
    );
    this.space.attach(slot, this);
  }

  get memory(): GuestMemory {
    return this.space.memory;
  }

  signalMask(): bigint {
    return native.hubSignalMask(this.#machine.hub.handle, this.space.ring, this.slot);
  }

  setPending(signals: bigint): void {
    native.hubPending(this.#machine.hub.handle, this.space.ring, this.slot, signals);
  }

  complete(outcome: number | Errno): void {
    const final = this.frame.finish(outcome);
    const { stored } = this.frame;
    const result = final instanceof Errno ? -final.number : final;
    this.answer(Verb.return, result, stored === 0 ? undefined : [stored]);
  }

  interrupt(): void {
    native.hubAttention(this.#machine.hub.handle, this.space.ring, this.slot, 1);
    const { pid } = this.executor;
    if (this.inCall || pid === undefined) return;
    const first = this.executor.hostedTid ?? pid;
    const tid = this.slot === 0 ? first : this.#machine.hostTid(this);
    if (tid !== undefined) call("tgkill", pid, tid, SIGKICK);
  }

  deliver(delivery: SignalDelivery | undefined): void {
    const { handle } = this.#machine.hub;
    if (delivery === undefined) {
      native.hubAttention(handle, this.space.ring, this.slot, 0);
      this.answer(Verb.signal, 0);
      return;
    }
    const bytes = new Uint8Array(SIGNAL_FRAME.size);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(SIGNAL_FRAME.handler, BigInt(delivery.handler), true);
    view.setBigUint64(SIGNAL_FRAME.flags, BigInt(delivery.flags >>> 0), true);
    view.setBigUint64(SIGNAL_FRAME.restorer, BigInt(delivery.restorer), true);
    view.setBigUint64(SIGNAL_FRAME.mask, delivery.mask, true);
    view.setUint32(SIGNAL_FRAME.signo, delivery.signo, true);
    bytes.set(delivery.info.subarray(0, 128), SIGNAL_FRAME.info);
    native.hubStage(handle, this.space.ring, this.slot, 0, bytes);
    this.answer(Verb.signal, 1);
  }

  clone(child: Task, spec: CloneSpec): Parked {
    return this.#machine.clone(this, child, spec);
  }

  exit(): void {
    this.#machine.threadEnds(this);
    this.space.leave(this.slot);
    this.answer(Verb.exitThread, 0);
  }

  mapZeroes(prot: number, flags: number): Parked {
    this.answer(Verb.mapFile, 1, [prot, flags]);
    return PARKED;
  }

  /** Publishes a reply: the executor goes on. */
  answer(verb: number, result: number, operands?: readonly (number | bigint)[]): void {
    if (!this.inCall) return;
    const later = () => this.answer(verb, result, operands);
    if (this.#machine.freezer.holdBack(this, later)) return;
    this.inCall = false;
    if (operands !== undefined) {
      for (let i = 0; i < 6; i++) this.#operands[i] = BigInt(operands[i] ?? 0);
    }
    native.hubComplete(
      this.#machine.hub.handle,
      this.space.ring,
      this.slot,
      verb,
      result,
      operands === undefined ? null : this.#operands,
    );
  }

  /** Has the executor map a file where its own mmap asked for it. See mmap(2). */
  mapFile(
    fd: number,
    own: boolean,
    prot: number,
    flags: number,
    offset: number,
    shown: MappedFile & { readonly offset: number },
    length = 0,
  ): Parked {
    // The guest may close its descriptor before the executor has collected the donation.
    const kept = own ? fd : call("fcntl", fd, F_DUPFD_CLOEXEC, 0);
    if (kept instanceof Errno) {
      this.complete(kept);
      return PARKED;
    }
    const translations = (prot & PROT_EXEC) === 0 ? 0 : this.#translationsOf(shown);
    this.#machine.promise(this, ...(translations === 0 ? [kept] : [kept, translations]));
    const tag = this.space.owned.add(shown);
    this.answer(Verb.mapFile, 0, [prot, flags, offset, kept, tag, length || translations]);
    return PARKED;
  }

  /** A descriptor of what there is of a file, to be given away; 0: nothing. */
  #translationsOf({ backing }: MappedFile): number {
    const lent = backing === undefined ? undefined : this.#machine.translations?.lend(backing);
    const fd = lent === undefined ? 0 : call("fcntl", lent, F_DUPFD_CLOEXEC, 0);
    return fd instanceof Errno ? 0 : fd;
  }
}

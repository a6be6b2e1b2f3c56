import { readdirSync, readFileSync } from "node:fs";
import { PlanStep } from "../../ring/layout.ts";
import { native } from "../../ring/native.ts";
import { EAGAIN, EINVAL, EPERM, Errno, errnoOf } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import type { Reactor } from "../host/reactor.ts";
import { PARKED, type Parked } from "../kernel/blocking.ts";
import type {
  CloneSpec,
  HostAuxv,
  KernelEvents,
  Machine,
  ProgramImage,
} from "../kernel/machine.ts";
import type { Process } from "../kernel/process.ts";
import type { Task } from "../kernel/task.ts";
import { AddressSpace, Executor } from "./address-space.ts";
import { ExecutorThread } from "./executor-thread.ts";
import type { RawSubmission, RingHub } from "./hub.ts";
import { Launcher, type LauncherOptions, type Notification } from "./launcher.ts";
import { Attach, RuntimeCall, STAGING_SIZE, Verb } from "./protocol.ts";

const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const POLLIN = 1;
const SIGKILL = 9;
/** Files one image may map; the launcher's `kMaxFiles`. */
const MAX_FILES = 16;

/** What a machine is made of. */
export interface ExecutorMachineOptions {
  readonly hub: RingHub;
  readonly reactor: Reactor;
  readonly events: KernelEvents;
  readonly log: (line: string) => void;
  /** Absent: trusted mode. */
  readonly confinement?: LauncherOptions["confinement"];
}

/** Runs guest code in executor processes behind rings. */
export class ExecutorMachine implements Machine {
  readonly hub: RingHub;
  readonly #reactor: Reactor;
  readonly #launcher: Launcher;
  readonly #events: KernelEvents;
  readonly #log: (line: string) => void;
  readonly #spaces = new Map<number, AddressSpace>();
  readonly #executors = new Map<Process, Executor>();
  /** Executors that have not attached yet. */
  readonly #expected = new Map<bigint, Executor>();
  /** Images whose contents are still to be stored. */
  readonly #starting = new Map<AddressSpace, ProgramImage>();
  /** Descriptors promised to threads by `mapFile`. */
  readonly #promised = new Map<ExecutorThread, number>();
  /** Tasks cloned but not yet confirmed, by the id the executor was told. */
  readonly #cloning = new Map<number, Task>();

  /** @throws what {@link Launcher} throws. */
  constructor(options: ExecutorMachineOptions) {
    this.hub = options.hub;
    this.#reactor = options.reactor;
    this.#events = options.events;
    this.#log = options.log;
    this.#launcher = new Launcher({
      reactor: options.reactor,
      notified: (note) => this.#notified(note),
      gone: () => this.#launcherGone(),
      ...(options.confinement === undefined ? {} : { confinement: options.confinement }),
    });
  }

  get auxv(): HostAuxv {
    return this.#launcher.auxv;
  }

  exec(task: Task, image: ProgramImage): Errno | undefined {
    const space = AddressSpace.create(this.hub);
    if (space instanceof Errno) return space;
    const files: number[] = [];
    const plan = encodePlan(image, files);
    if (plan instanceof Errno) {
      space.destroy();
      return plan;
    }
    const mask = task.thread?.signalMask() ?? 0n;
    const slot = space.allocate(mask);
    if (slot instanceof Errno) throw new Error("A fresh address space has no slot");
    native.hubStage(this.hub.handle, space.ring, slot, 0, plan);
    const executor = new Executor(space, task.process);
    const error = this.#launcher.spawn({
      token: executor.token,
      ringFd: space.ringFd,
      doorbellFd: this.hub.doorbellFd,
      files,
      stepCount: plan.length / PlanStep.size,
      name: image.name,
    });
    if (error !== undefined) {
      space.destroy();
      return error;
    }
    space.closeRingFd();
    const old = this.#executors.get(task.process);
    if (old !== undefined) {
      old.process = undefined;
      for (const thread of [...old.space.threads()]) {
        if (thread.executor === old) old.space.attach(thread.slot, undefined);
      }
      old.kill();
    }
    this.#spaces.set(space.ring, space);
    this.#executors.set(task.process, executor);
    this.#expected.set(executor.token, executor);
    this.#starting.set(space, image);
    task.thread = new ExecutorThread(this, executor, slot, task);
    return undefined;
  }

  kill(process: Process): void {
    this.#executors.get(process)?.kill();
  }

  clone(parent: ExecutorThread, child: Task, spec: CloneSpec): Parked {
    const fork = spec.kind === "fork";
    const made = fork ? AddressSpace.create(this.hub) : parent.space;
    const slot = made instanceof Errno ? made : made.allocate(parent.signalMask());
    if (made instanceof Errno || slot instanceof Errno) {
      this.#events.cloneFailed(child, EAGAIN);
      parent.complete(EAGAIN);
      return PARKED;
    }
    this.#spaces.set(made.ring, made);
    const executor = spec.kind === "thread" ? parent.executor : new Executor(made, child.process);
    if (executor !== parent.executor) {
      this.#executors.set(child.process, executor);
      this.#expected.set(executor.token, executor);
    }
    child.thread = new ExecutorThread(this, executor, slot, child);
    this.#cloning.set(child.tid, child);
    const extra = new BigUint64Array([
      BigInt(spec.tls ?? 0),
      spec.tls === undefined ? 0n : 1n,
      BigInt(spec.parentTid),
      BigInt(child.process.pid),
    ]);
    native.hubStage(
      this.hub.handle,
      parent.space.ring,
      parent.slot,
      0,
      new Uint8Array(extra.buffer),
    );
    parent.answer(Verb[spec.kind], 0, [
      slot,
      child.tid,
      spec.stack,
      spec.childTid,
      spec.clearTid,
      executor.token,
    ]);
    return PARKED;
  }

  /** A thread will collect `fd` by its next designated call. The descriptor is the machine's from now on. */
  promise(thread: ExecutorThread, fd: number): void {
    this.#breakPromise(thread);
    this.#promised.set(thread, fd);
  }

  /** The host id of a thread that is not its process's first, from what it claims and the host confirms. */
  hostTid(thread: ExecutorThread): number | undefined {
    const claimed = native.hubTid(this.hub.handle, thread.space.ring, thread.slot);
    const { pid } = thread.executor;
    if (claimed === 0 || pid === undefined) return undefined;
    try {
      for (const name of readdirSync(`/proc/${pid}/task`)) {
        const status = readFileSync(`/proc/${pid}/task/${name}/status`, "latin1");
        const ids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/);
        if (ids !== undefined && Number(ids[ids.length - 1]) === claimed) return Number(name);
      }
    } catch {
      // The process is ending: nobody is left to interrupt.
    }
    return undefined;
  }

  /** Handles what a wait found. */
  submitted(raw: RawSubmission): void {
    const space = this.#spaces.get(raw.ring);
    const thread = space?.thread(raw.slot);
    if (space === undefined) return;
    if (thread === undefined || thread.inCall) {
      this.violated(space.ring, `a submission from slot ${raw.slot}, which is not in use`);
      return;
    }
    thread.inCall = true;
    thread.frame.load(raw);
    this.#cloning.delete(thread.task.tid);
    switch (raw.number) {
      case RuntimeCall.start:
        this.#start(thread);
        break;
      case RuntimeCall.signalRequest:
        this.#events.signalRequest(thread.task);
        break;
      case RuntimeCall.fault: {
        const { frame } = thread;
        this.#events.fault(thread.task, frame.s32(0), frame.s32(1), frame.u64(2));
        break;
      }
      case RuntimeCall.cloneFailed:
        this.#cloneFailed(thread);
        break;
      case RuntimeCall.planFailed: {
        const error = errnoOf(thread.frame.u32(1));
        this.#log(`Mapping ${thread.frame.u32(0)} of ${thread.task.name} failed: ${error}`);
        thread.executor.kill();
        break;
      }
      default:
        this.#events.syscall(thread.task, thread.frame, raw.number);
    }
  }

  /** An executor broke the ring's protocol: its process dies, the container lives on. */
  violated(ring: number, what: string): void {
    const space = this.#spaces.get(ring);
    if (space === undefined) return;
    this.#log(`Protocol violation: ${what}`);
    for (const executor of space.executors) executor.kill();
  }

  /** Ends everything. */
  close(): void {
    this.#launcher.close();
    for (const space of this.#spaces.values()) {
      for (const executor of space.executors) this.#release(executor);
      space.destroy();
    }
    this.#spaces.clear();
  }

  #start(thread: ExecutorThread): void {
    const image = this.#starting.get(thread.space);
    this.#starting.delete(thread.space);
    if (image === undefined) {
      this.violated(thread.space.ring, "a second start");
      return;
    }
    for (const { addr, bytes } of image.contents) {
      const error = thread.memory.copyOut(addr, bytes);
      if (error !== undefined) {
        this.#log(`Storing ${thread.task.name} at 0x${addr.toString(16)} failed: ${error}`);
        thread.executor.kill();
        return;
      }
    }
    const { task } = thread;
    thread.answer(Verb.enter, 0, [
      image.entry,
      image.stackPointer,
      image.brk,
      task.process.pid,
      task.tid,
    ]);
  }

  #cloneFailed(thread: ExecutorThread): void {
    const tid = thread.frame.u32(0);
    const child = this.#cloning.get(tid);
    const childThread = child?.thread;
    if (child === undefined || !(childThread instanceof ExecutorThread)) {
      this.violated(thread.space.ring, "a failed clone that nobody asked for");
      return;
    }
    this.#cloning.delete(tid);
    const { space, slot, executor } = childThread;
    space.attach(slot, undefined);
    if (executor !== thread.executor) {
      this.#expected.delete(executor.token);
      this.#executors.delete(child.process);
      executor.process = undefined;
      this.#ended(executor);
    }
    this.#events.cloneFailed(child, errnoOf(thread.frame.u32(1)));
    thread.answer(Verb.return, 0);
  }

  #notified(note: Notification): void {
    if (note.kind === Attach.file) {
      this.#donateFile(note);
      return;
    }
    const executor = this.#expected.get(note.token);
    if (executor === undefined || this.#byPid(note.pid) !== undefined) {
      this.#launcher.reply(note, EPERM);
      return;
    }
    this.#expected.delete(note.token);
    const pidfd = call("pidfd_open", note.pid, 0);
    if (pidfd instanceof Errno) {
      // It is dead already, or the host has no descriptor left: it cannot be watched, so it cannot run.
      this.#launcher.reply(note, pidfd);
      call("kill", note.pid, SIGKILL);
      this.#ended(executor);
      return;
    }
    executor.pid = note.pid;
    executor.pidfd = pidfd;
    executor.watch = this.#reactor.watch(pidfd, POLLIN, () => this.#ended(executor));
    if (note.kind === Attach.fork) {
      this.#launcher.donate(note, executor.space.ringFd);
      executor.space.closeRingFd();
    } else {
      this.#launcher.reply(note, 0);
    }
    if (executor.doomed) executor.kill();
  }

  #donateFile(note: Notification): void {
    // The notification names the calling thread; its process tells which executor's slot is meant.
    const executor = this.#byThread(note.pid);
    const thread = executor?.space.thread(Number(note.token));
    const fd = thread === undefined ? undefined : this.#promised.get(thread);
    if (thread === undefined || fd === undefined || thread.executor !== executor) {
      this.#launcher.reply(note, EINVAL);
      return;
    }
    const error = this.#launcher.donate(note, fd);
    if (error !== undefined) this.#launcher.reply(note, error);
    this.#breakPromise(thread);
  }

  #breakPromise(thread: ExecutorThread): void {
    const fd = this.#promised.get(thread);
    if (fd === undefined) return;
    this.#promised.delete(thread);
    call("close", fd);
  }

  #byPid(pid: number): Executor | undefined {
    for (const executor of this.#executors.values()) if (executor.pid === pid) return executor;
    return undefined;
  }

  #byThread(tid: number): Executor | undefined {
    const direct = this.#byPid(tid);
    if (direct !== undefined) return direct;
    try {
      const tgid = /^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${tid}/status`, "latin1"))?.[1];
      return tgid === undefined ? undefined : this.#byPid(Number(tgid));
    } catch {
      return undefined;
    }
  }

  /** The host has confirmed an executor's end. */
  #ended(executor: Executor): void {
    this.#release(executor);
    const { space, process } = executor;
    for (const thread of [...space.threads()]) {
      if (thread.executor !== executor) continue;
      this.#breakPromise(thread);
      space.attach(thread.slot, undefined);
    }
    if (space.executors.size === 0) {
      this.#spaces.delete(space.ring);
      this.#starting.delete(space);
      space.destroy();
    }
    if (process !== undefined) {
      this.#executors.delete(process);
      this.#events.processGone(process, { signo: SIGKILL });
    }
  }

  #release(executor: Executor): void {
    executor.space.executors.delete(executor);
    executor.watch?.close();
    executor.watch = undefined;
    if (executor.pidfd >= 0) call("close", executor.pidfd);
    executor.pidfd = -1;
    executor.pid = undefined;
  }

  #launcherGone(): void {
    this.#log("The launcher has ended; the container ends with it");
    for (const executor of [...this.#executors.values()]) this.#ended(executor);
  }
}

/** The image's mappings as the executor carries them out; `files` gets the descriptors they name. */
function encodePlan(image: ProgramImage, files: number[]): Uint8Array | Errno {
  const bytes = new Uint8Array(image.mappings.length * PlanStep.size);
  if (bytes.length > STAGING_SIZE) return EINVAL;
  const view = new DataView(bytes.buffer);
  for (const [i, mapping] of image.mappings.entries()) {
    let number = -1;
    let offset = 0;
    let flags = MAP_PRIVATE | MAP_FIXED;
    if (mapping.file === undefined) {
      flags |= MAP_ANONYMOUS | (mapping.stack === true ? MAP_NORESERVE : 0);
    } else {
      const { backing } = mapping.file;
      offset = backing.offset + mapping.file.offset;
      number = files.indexOf(backing.fd);
      if (number < 0) number = files.push(backing.fd) - 1;
      if (files.length > MAX_FILES) return EINVAL;
    }
    const at = i * PlanStep.size;
    view.setBigUint64(at + PlanStep.addr, BigInt(mapping.addr), true);
    view.setBigUint64(at + PlanStep.length, BigInt(mapping.length), true);
    view.setBigUint64(at + PlanStep.offset, BigInt(offset), true);
    view.setUint32(at + PlanStep.prot, mapping.prot, true);
    view.setUint32(at + PlanStep.flags, flags, true);
    view.setInt32(at + PlanStep.fd, number, true);
  }
  return bytes;
}

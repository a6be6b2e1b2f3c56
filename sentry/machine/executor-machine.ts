import { PlanStep } from "../../ring/layout.ts";
import { native } from "../../ring/native.ts";
import { EAGAIN, EPERM, Errno, errnoOf } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import { HOST_ISA } from "../host/isa.ts";
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
import type { Usage } from "../kernel/usage.ts";
import type { Translations } from "../translations/translations.ts";
import { AddressSpace, Executor } from "./address-space.ts";
import { Donations } from "./donations.ts";
import { ExecutorThread } from "./executor-thread.ts";
import { cpuNsOf, rememberThread, sleeps, usedBy } from "./executor-usage.ts";
import { Expected } from "./expected.ts";
import { Freezer } from "./freezer.ts";
import { deathSignal, findThread, processOfThread, reap } from "./host-threads.ts";
import { hostResidentBytes } from "./host-usage.ts";
import { hostedAuxv } from "./hosted-auxv.ts";
import type { RawSubmission, RingHub } from "./hub.ts";
import { Launcher, type Notification } from "./launcher.ts";
import { learn } from "./learn.ts";
import { lend } from "./lend.ts";
import { lifePipe } from "./life-pipe.ts";
import type { ExecutorMachineOptions } from "./machine-options.ts";
import { encodePlan, enterImage } from "./plan.ts";
import { Promises } from "./promises.ts";
import { Attach, FAULTS, RuntimeCall, Verb } from "./protocol.ts";

const POLLIN = 1;
const SIGKILL = 9;
/** How often to look whether the last thread of a guest in this process has gone. */
const HOSTED_END_NS = 200_000n;
/** Programs linked to addresses below would collide with Node itself, which may lie at 0x400000. */
const NODE_END = 2 ** 36;
/** Runs guest code in executor processes behind rings. */
export class ExecutorMachine implements Machine {
  readonly hub: RingHub;
  readonly freezer: Freezer = new Freezer(this);
  readonly auxv: HostAuxv;
  readonly translations: Translations | undefined;
  readonly #reactor: Reactor;
  readonly #options: ExecutorMachineOptions;
  /** Started when it is first needed in trusted mode, at once otherwise. */
  #launcher: Launcher | undefined;
  /** Trusted mode: the next program may run in this very process. */
  #mayHost: boolean;
  readonly #life = lifePipe();
  readonly #events: KernelEvents;
  readonly #log: (line: string) => void;
  readonly #spaces = new Map<number, AddressSpace>();
  readonly #executors = new Map<Process, Executor>();
  readonly #expected: Expected;
  /** Images whose contents are still to be stored. */
  readonly #starting = new Map<AddressSpace, ProgramImage>();
  readonly #promises = new Promises();
  readonly #donations = new Donations(() => this.#launch(), this.#promises);
  /** Tasks that nothing has been heard of yet, by the id the thread that clones them was told. */
  readonly #cloning = new Map<number, { readonly parent: ExecutorThread; readonly child: Task }>();

  /** @throws what {@link Launcher} throws. */
  constructor(options: ExecutorMachineOptions) {
    this.hub = options.hub;
    this.#reactor = options.reactor;
    this.#events = options.events;
    this.#log = options.log;
    this.#options = options;
    this.translations = options.translations;
    this.#mayHost =
      options.confinement === undefined && options.mayHost && options.guest === HOST_ISA;
    this.#expected = new Expected({
      reactor: options.reactor,
      launcher: () => this.#launcher,
      known: (pid) => this.#byPid(pid) !== undefined,
      gone: (executor) => this.#ended(executor),
      hostile: options.confinement !== undefined,
    });
    this.auxv = this.#mayHost
      ? hostedAuxv((hosts, fixed) =>
          this.#mayHost && !fixed ? hosts : this.#launch().auxv.vdso(fixed),
        )
      : this.#launch().auxv;
  }

  exec(task: Task, image: ProgramImage): Errno | undefined {
    const space = AddressSpace.create(this.hub);
    if (space instanceof Errno) return space;
    const files: number[] = [];
    const plan = encodePlan(image, files, this.translations);
    if (plan instanceof Errno) {
      space.destroy();
      return plan;
    }
    const mask = task.thread?.signalMask() ?? 0n;
    const slot = space.allocate(mask);
    if (slot instanceof Errno) throw new Error("A fresh address space has no slot");
    native.hubStage(this.hub.handle, space.ring, slot, 0, plan);
    const executor = new Executor(space, task.process);
    const steps = plan.length / PlanStep.size;
    const hosted = this.#mayHost && image.mappings.every(({ addr }) => addr >= NODE_END);
    const error = hosted
      ? this.#host(executor, files, steps)
      : this.#launch().spawn({
          token: executor.token,
          ringFd: space.ringFd,
          doorbellFd: this.hub.doorbellFd,
          files,
          stepCount: steps,
          name: image.name,
        });
    if (error !== undefined) {
      space.destroy();
      return error;
    }
    this.#mayHost = false;
    space.closeRingFd();
    const old = this.#executors.get(task.process);
    if (old !== undefined) {
      executor.past = usedBy(old, this.#tidOf);
      old.process = undefined;
      for (const thread of [...old.space.threads()]) {
        if (thread.executor === old) old.space.attach(thread.slot, undefined);
      }
      this.#kill(old);
    }
    this.#spaces.set(space.ring, space);
    this.#executors.set(task.process, executor);
    if (!hosted) this.#expected.add(executor, this.#launch().promise());
    this.#starting.set(space, image);
    task.thread = new ExecutorThread(this, executor, slot, task);
    return undefined;
  }

  kill(process: Process): void {
    const executor = this.#executors.get(process);
    if (executor !== undefined) this.#kill(executor);
  }

  clone(parent: ExecutorThread, child: Task, spec: CloneSpec): Parked {
    const fork = spec.kind === "fork";
    const made = fork ? AddressSpace.create(this.hub, parent.space) : parent.space;
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
      // Whoever clones makes its next call when that is done.
      const { calls } = parent;
      this.#expected.add(executor, () => parent.calls > calls || parent.executor.ended);
      executor.attachesByRing = parent.executor.attachesByRing;
    }
    child.thread = new ExecutorThread(this, executor, slot, child);
    this.#cloning.set(child.tid, { parent, child });
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
      fork ? made.ringFd : slot,
      child.tid,
      spec.stack,
      spec.childTid,
      spec.clearTid,
      executor.token,
    ]);
    return PARKED;
  }

  /** A thread will collect these by its next call. The descriptors are the machine's from now on. */
  promise(thread: ExecutorThread, ...fds: number[]): void {
    this.#promises.make(thread, fds);
  }

  /** The host id of a thread that is not its process's first, from what it claims and the host confirms. */
  hostTid(thread: ExecutorThread): number | undefined {
    const claimed = native.hubTid(this.hub.handle, thread.space.ring, thread.slot);
    const { pid } = thread.executor;
    if (claimed === 0 || pid === undefined) return undefined;
    thread.hostTid ??= findThread(pid, claimed);
    return thread.hostTid;
  }

  usage(process: Process): Usage {
    const executor = this.#executors.get(process);
    return executor === undefined ? process.usage : usedBy(executor, this.#tidOf);
  }

  /** A thread of a process that goes on ends: in our own process nobody else remembers what it used. */
  threadEnds(thread: ExecutorThread): void {
    rememberThread(thread, this.#tidOf);
  }

  cpuTime({ thread }: Task): bigint {
    return thread instanceof ExecutorThread ? cpuNsOf(thread, this.#tidOf) : 0n;
  }

  sleeps({ thread }: Task): boolean {
    // Who waits for our own answer only looks asleep to the host.
    return thread instanceof ExecutorThread && !thread.inCall && sleeps(thread, this.#tidOf);
  }

  /** Where `process` runs now, if it does. */
  executorOf(process: Process): Executor | undefined {
    return this.#executors.get(process);
  }

  /** All executors that run a process. */
  executors(): Iterable<Executor> {
    return this.#executors.values();
  }

  /** Host pids of all executors, the sentry's own process not among them. */
  *pids(): Iterable<number> {
    for (const { pid, hostedTid } of this.#executors.values()) {
      if (pid !== undefined && hostedTid === undefined) yield pid;
    }
  }

  /** The thread of this very process behind a slot. */
  hostedThread(ring: number, slot: number): ExecutorThread | undefined {
    const thread = this.#spaces.get(ring)?.thread(slot);
    return thread?.executor.hostedTid === undefined ? undefined : thread;
  }

  /** Ends the executor with host pid `pid`, as if the host had. */
  killPid(pid: number): void {
    this.#byPid(pid)?.kill();
  }

  /** A thread's host id; undefined for the first of an executor process, which is its pid. */
  readonly #tidOf = (thread: ExecutorThread): number | undefined =>
    thread.slot === 0 ? thread.executor.hostedTid : this.hostTid(thread);

  /** Handles what a wait found. */
  submitted(raw: RawSubmission): void {
    const space = this.#spaces.get(raw.ring);
    const thread = space?.thread(raw.slot);
    if (space === undefined) return;
    // Threads of a process that is being ended may still get a word in.
    if (thread === undefined && [...space.executors].every(({ doomed }) => doomed)) return;
    if (thread === undefined || thread.inCall) {
      this.violated(space.ring, `a submission from slot ${raw.slot}, which is not in use`);
      return;
    }
    thread.inCall = true;
    thread.calls++;
    this.#promises.break(thread);
    if (thread.executor.doomed && thread.executor.hostedTid !== undefined) {
      this.#endHostedThread(thread);
      return;
    }
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
        const signo = frame.s32(0);
        if (FAULTS.has(signo)) {
          this.#events.fault(thread.task, signo, frame.s32(1), frame.u64(2), frame.s32(4) !== 0);
        } else {
          this.violated(space.ring, `a fault by signal ${signo}`);
        }
        break;
      }
      case RuntimeCall.cloneFailed:
        this.#cloneFailed(thread);
        break;
      case RuntimeCall.lease:
        if (this.#options.confinement === undefined) lend(this, thread);
        else this.violated(space.ring, "a request for a descriptor in untrusted mode");
        break;
      case RuntimeCall.softEvents:
        thread.complete(this.#events.softEvents(thread.task, thread.frame));
        break;
      case RuntimeCall.attached:
        this.#attachedByRing(thread);
        break;
      case RuntimeCall.planFailed: {
        const error = errnoOf(thread.frame.u32(1));
        this.#log(`Mapping ${thread.frame.u32(0)} of ${thread.task.name} failed: ${error}`);
        this.#kill(thread.executor);
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
    for (const executor of space.executors) this.#kill(executor);
  }

  /** Ends everything. */
  close(): void {
    this.#expected.close();
    this.#launcher?.close();
    for (const fd of Object.values(this.#life)) call("close", fd);
    for (const space of this.#spaces.values()) {
      for (const executor of space.executors) this.#release(executor);
      space.destroy();
    }
    this.#spaces.clear();
  }

  /** The launcher, started now if need be. */
  #launch(): Launcher {
    this.#launcher ??= new Launcher({
      guest: this.#options.guest,
      reactor: this.#reactor,
      notified: (note) => this.#notified(note),
      failed: (token, error) => this.#spawnFailed(token, error),
      gone: () => this.#launcherGone(),
      started: this.#options.launched,
      lifeFd: this.#life.read,
      ...(this.#options.confinement === undefined
        ? {}
        : { confinement: this.#options.confinement }),
    });
    return this.#launcher;
  }

  /** Runs the plan on a thread of this process. */
  #host(executor: Executor, files: readonly number[], steps: number): Errno | undefined {
    const { ring } = executor.space;
    executor.residentBefore = hostResidentBytes(process.pid);
    const tid = native.startHosted(
      this.hub.handle,
      ring,
      steps,
      Int32Array.from(files),
      this.#life.read,
    );
    if (tid < 0) return errnoOf(-tid);
    executor.hostedTid = tid;
    executor.pid = process.pid;
    executor.attachesByRing = true;
    return undefined;
  }

  /** Ends an executor. The threads of one in this process must end by themselves. */
  #kill(executor: Executor): void {
    learn(this.translations, executor);
    if (executor.hostedTid === undefined) {
      executor.kill();
      return;
    }
    executor.doomed = true;
    for (const thread of [...executor.space.threads()]) {
      if (thread.executor !== executor) continue;
      if (thread.inCall) this.#endHostedThread(thread);
      else thread.interrupt();
    }
  }

  #endHostedThread(thread: ExecutorThread): void {
    const { executor } = thread;
    thread.exit();
    for (const other of executor.space.threads()) if (other.executor === executor) return;
    this.#awaitHostedEnd(executor);
  }

  /** Its last thread is on its way out; the ring must stay until it has gone. */
  #awaitHostedEnd(executor: Executor): void {
    const { hostedTid } = executor;
    if (hostedTid !== undefined && !(call("tgkill", process.pid, hostedTid, 0) instanceof Errno)) {
      this.#reactor.at(this.#reactor.now() + HOSTED_END_NS, () => this.#awaitHostedEnd(executor));
      return;
    }
    this.#ended(executor);
  }

  #attachedByRing(thread: ExecutorThread): void {
    const token = thread.frame.big(0);
    const pid = thread.frame.s32(1);
    const executor = this.#expected.get(token);
    // A confined executor could name any process of the host, whose memory we would take for the guest's.
    const own = executor === thread.executor && executor.attachesByRing;
    const pidfd = own ? call("pidfd_open", pid, 0) : EPERM;
    if (executor === undefined || pidfd instanceof Errno) {
      this.violated(thread.space.ring, "an attachment that nobody expects");
      return;
    }
    this.#expected.remove(token);
    executor.space.closeRingFd();
    this.#adopt(executor, pid, pidfd);
    thread.answer(Verb.return, 0);
  }

  #adopt(executor: Executor, pid: number, pidfd: number): void {
    // It lives: nobody can say any more that the host could not start it.
    for (const [tid, { child }] of this.#cloning) {
      if (child.process === executor.process) this.#cloning.delete(tid);
    }
    executor.pid = pid;
    executor.pidfd = pidfd;
    executor.watch = this.#reactor.watch(pidfd, POLLIN, () => this.#ended(executor));
    if (executor.doomed) executor.kill();
    this.freezer.attached(executor);
  }

  #start(thread: ExecutorThread): void {
    const image = this.#starting.get(thread.space);
    this.#starting.delete(thread.space);
    if (image === undefined) {
      this.violated(thread.space.ring, "a second start");
      return;
    }
    const failure = enterImage(thread, image);
    if (failure === undefined) {
      this.#options.entered?.();
      return;
    }
    this.#log(failure);
    this.#kill(thread.executor);
  }

  #cloneFailed(thread: ExecutorThread): void {
    const tid = thread.frame.u32(0);
    const { parent, child } = this.#cloning.get(tid) ?? {};
    const childThread = child?.thread;
    // Another's clone is none of its business.
    if (!child || parent !== thread || !(childThread instanceof ExecutorThread)) {
      this.violated(thread.space.ring, "a failed clone that nobody asked for");
      return;
    }
    this.#cloning.delete(tid);
    const { space, slot, executor } = childThread;
    space.attach(slot, undefined);
    if (executor !== thread.executor) {
      this.#expected.remove(executor.token);
      this.#executors.delete(child.process);
      executor.process = undefined;
      this.#ended(executor);
    }
    this.#events.cloneFailed(child, errnoOf(thread.frame.u32(1)));
    thread.answer(Verb.return, 0);
  }

  #notified(note: Notification): void {
    const launcher = this.#launch();
    if (note.kind === Attach.file) {
      // The notification names the calling thread; its process tells which executor's slot is meant.
      this.#donations.file(note, this.#byThread(note.pid));
      return;
    }
    const known = this.#byPid(note.pid);
    if (known !== undefined && note.kind === Attach.fork && known.token === note.token) {
      this.#donations.ring(note, known.space);
      return;
    }
    const executor = this.#expected.get(note.token);
    if (executor === undefined || known !== undefined) {
      launcher.reply(note, EPERM);
      return;
    }
    this.#expected.remove(note.token);
    const pidfd = call("pidfd_open", note.pid, 0);
    // Unless the call still waits, the number may be another process's by now.
    const waits = launcher.waits(note);
    if (pidfd instanceof Errno || !waits) {
      // It is dead already, or the host has no descriptor left: it cannot be watched, so it cannot run.
      if (waits) call("kill", note.pid, SIGKILL);
      if (!(pidfd instanceof Errno)) call("close", pidfd);
      this.#ended(executor);
      return;
    }
    if (note.kind === Attach.fork) {
      this.#donations.ring(note, executor.space);
    } else {
      launcher.reply(note, 0);
    }
    this.#adopt(executor, note.pid, pidfd);
  }

  #byPid(pid: number): Executor | undefined {
    for (const executor of this.#executors.values()) if (executor.pid === pid) return executor;
    return undefined;
  }

  #byThread(tid: number): Executor | undefined {
    const direct = this.#byPid(tid);
    if (direct !== undefined) return direct;
    const tgid = processOfThread(tid);
    return tgid === undefined ? undefined : this.#byPid(tgid);
  }

  /** The host has confirmed an executor's end. */
  #ended(executor: Executor): void {
    const { pidfd, doomed, attachesByRing } = executor;
    const launcher = this.#launcher;
    if (pidfd < 0 || doomed || attachesByRing || launcher === undefined) {
      this.#gone(executor, this.#release(executor));
      return;
    }
    // Nobody told it to end: only its parent can say why it has.
    executor.leave();
    launcher.bury(pidfd, (status) => {
      this.#release(executor);
      this.#gone(executor, deathSignal(status));
    });
  }

  #gone(executor: Executor, signo: number = SIGKILL): void {
    const { space, process } = executor;
    for (const [tid, { parent, child }] of this.#cloning) {
      const lost = parent.executor === executor || child.process === process;
      if (lost) this.#cloning.delete(tid);
    }
    for (const thread of [...space.threads()]) {
      if (thread.executor !== executor) continue;
      this.#promises.break(thread);
      space.attach(thread.slot, undefined);
    }
    if (space.executors.size === 0) {
      this.#spaces.delete(space.ring);
      this.#starting.delete(space);
      space.destroy();
    }
    if (process !== undefined) {
      this.#executors.delete(process);
      this.#events.processGone(process, { signo });
    }
  }

  /** @returns the signal that ended a child of ours. */
  #release(executor: Executor): number | undefined {
    const { pidfd } = executor;
    executor.leave();
    executor.space.executors.delete(executor);
    executor.pid = undefined;
    if (pidfd < 0) return undefined;
    if (!executor.attachesByRing) {
      this.#launcher?.reap(pidfd);
      return undefined;
    }
    const signo = reap(pidfd);
    call("close", pidfd);
    return signo;
  }

  /** There is no way back: the program that called execve dies, as it would of an error this late on Linux. */
  #spawnFailed(token: bigint, error: Errno): void {
    const executor = this.#expected.get(token);
    if (executor === undefined) return;
    this.#log(
      `The host could not start ${executor.process?.leader?.name ?? "an executor"}: ${error}`,
    );
    this.#expected.remove(token);
    this.#ended(executor);
  }

  #launcherGone(): void {
    this.#log("The launcher has ended; the container ends with it");
    for (const executor of [...this.#executors.values()]) this.#ended(executor);
  }
}

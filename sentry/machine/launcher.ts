import { randomInt } from "node:crypto";
import { DESCRIPTOR_WINDOW } from "../../profiles/constants.ts";
import { executorConfinement } from "../../profiles/linux/confinement.ts";
import { encodeConfinement } from "../../profiles/linux/encode.ts";
import {
  ConfinementRefused,
  decodeReport,
  REPORT_SIZE,
  type Report,
} from "../../profiles/linux/report.ts";
import { LauncherHello, LauncherReply, LauncherRequest } from "../../ring/layout.ts";
import { native } from "../../ring/native.ts";
import { EAGAIN, EINPROGRESS, EINTR, ENOENT, Errno, errnoOf } from "../abi/errno.ts";
import type { Isa } from "../abi/numbers.ts";
import { call } from "../host/call.ts";
import { HOST_ISA } from "../host/isa.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import type { HostAuxv } from "../kernel/machine.ts";

/** Where the native build puts the launcher of containers whose programs are of `guest`. */
export function launcherPath(guest: Isa): string {
  const name = guest === HOST_ISA ? "dd-guest" : `dd-guest-${guest}`;
  return new URL(`../../../Release/${name}`, import.meta.url).pathname;
}

const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC = 5 | 0o2000000;
const POLLIN = 1;

// <linux/seccomp.h>
const SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
const SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
const SECCOMP_IOCTL_NOTIF_ID_VALID = 0x40082102;
const SECCOMP_IOCTL_NOTIF_ADDFD = 0x40182103;
const SECCOMP_ADDFD_FLAG_SETFD = 1;
const SECCOMP_ADDFD_FLAG_SEND = 2;
const NOTIFICATION_SIZE = 80;
const SIGKILL = 9;
/** No process, no descriptor. */
const NONE = -1;
const BUILD_BYTES = 20;
const FD_CLOEXEC_FLAG = 0o2000000;
/** AT_PLATFORM. */
export const PLATFORMS: Readonly<Record<Isa, string>> = { x86_64: "x86_64", arm64: "aarch64" };
/** Processes that one request may have reaped; the launcher's `kMaxReaped`. */
const REAPED_MAX = 32;
/** How long the ended may wait for company before they are reaped. */
const REAP_NS = 10_000_000n;

/** How a launcher is to be started. */
export interface LauncherOptions {
  /** What the programs it is to run are of. */
  readonly guest: Isa;
  readonly reactor: Reactor;
  /** Hears of each designated call, which it must answer with `donate` or `reply`. */
  readonly notified: (note: Notification) => void;
  /** Hears that an executor asked for could not be started. */
  readonly failed: (token: bigint, error: Errno) => void;
  /** Hears that the launcher, and with it every executor, has ended. */
  readonly gone: () => void;
  /** Called with the launcher's host pid and what tells its program from others, before it has started any executor. */
  readonly started: (pid: number, build: Uint8Array) => void;
  /** Trusted mode: the reading end of a pipe whose writing end only the sentry has. */
  readonly lifeFd: number;
  /** Absent: trusted mode. */
  readonly confinement?: {
    /** The most threads and processes of the container, as the host counts them. */
    readonly processes: number;
    /** The most memory of each executor in bytes; absent: not limited. */
    readonly memoryBytes?: number | undefined;
    /** Confines the sentry itself: called at the one moment when it can be done. */
    readonly confineSentry: () => void;
  };
}

/** An executor's designated call: who makes it, and what it says. The host vouches for the pid. */
export interface Notification {
  readonly id: bigint;
  /** The calling thread's host id. */
  readonly pid: number;
  readonly kind: number;
  readonly token: bigint;
}

/** What the sentry starts a fresh executor with. */
export interface Spawn {
  readonly token: bigint;
  readonly ringFd: number;
  readonly doorbellFd: number;
  /** What the plan's file numbers 0, 1, ... refer to. */
  readonly files: readonly number[];
  readonly stepCount: number;
  readonly name: string;
}

/** Which executor could not be started, and why; or the answer of that number, if that is not 0. */
interface Reply {
  readonly token: bigint;
  readonly error: Errno;
  readonly answer: number;
  readonly status: number;
}

/** The container's launcher process: it forks executors, which then speak through designated calls. */
export class Launcher {
  readonly auxv: HostAuxv;
  readonly pid: number;
  readonly #control: number;
  readonly #listener: number;
  readonly #watches: Watch[];
  readonly #reactor: Reactor;
  /** Pidfds of its children that have ended and are still to be reaped. */
  readonly #ended: number[] = [];
  #reaping = false;
  #asked = 0;
  readonly #mourners = new Map<number, (status: number) => void>();
  #answered = 0;

  /** Descriptor numbers an executor may get, in turn. See `kWindowFirst` in guest/confine. */
  #nextInWindow: number = DESCRIPTOR_WINDOW.first;

  /**
   * Starts the launcher.
   * @throws ConfinementRefused when a layer of the untrusted mode is missing; Error when the host refuses
   *   something else.
   */
  constructor(options: LauncherOptions) {
    const started =
      options.confinement === undefined
        ? startTrusted(options.guest, options.lifeFd)
        : startConfined(options.guest, options.confinement);
    const view = new DataView(started.hello.buffer);
    const vdso = Number(view.getBigUint64(LauncherHello.vdso, true));
    this.auxv = {
      isa: options.guest,
      hwcap: view.getBigUint64(LauncherHello.hwcap, true),
      hwcap2: view.getBigUint64(LauncherHello.hwcap2, true),
      minsigstksz: view.getUint32(LauncherHello.minsigstksz, true),
      clockTick: view.getUint32(LauncherHello.clockTick, true),
      pageSize: 4096,
      platform: PLATFORMS[options.guest],
      vdso: () => vdso,
    };
    this.pid = started.pid;
    this.#control = started.control;
    this.#listener = started.listener;
    const { reactor, notified, failed, gone } = options;
    this.#reactor = reactor;
    this.#watches = [
      reactor.watch(this.#listener, POLLIN, () => {
        for (let note = this.#receive(); note !== undefined; note = this.#receive()) notified(note);
      }),
      reactor.watch(this.#control, POLLIN, () => {
        const reply = this.#receiveReply();
        if (reply !== undefined && reply.answer > 0) this.#hear(reply.answer, reply.status);
        else if (reply !== undefined) failed(reply.token, reply.error);
        if (reply !== undefined) return;
        this.close();
        gone();
      }),
    ];
    const build = LauncherHello.build;
    options.started(this.pid, started.hello.subarray(build, build + BUILD_BYTES));
  }

  /** Asks for a new executor. It announces itself by a notification with the token. */
  spawn(spawn: Spawn): Errno | undefined {
    return this.#request(
      { token: spawn.token, stepCount: spawn.stepCount, name: spawn.name },
      spawn.files.length,
      [spawn.ringFd, spawn.doorbellFd, ...spawn.files],
    );
  }

  /** Asks whether it has done all that it was asked for before. */
  ask(): void {
    // One answer says as much as several.
    if (this.#asked === this.#answered) this.#ask();
  }

  /** @returns what will be true once all that the launcher was asked for until now has been done. */
  promise(): () => boolean {
    const next = this.#asked + 1;
    return () => this.#answered >= next;
  }

  /**
   * Takes leave of a child of it that has ended, and tells how.
   * @param pidfd is the launcher's from now on.
   * @param told hears the wait status, unless the launcher itself ends before.
   */
  bury(pidfd: number, told: (status: number) => void): void {
    // The ended of one request are reaped in order, and the last one's status is told.
    while (this.#ended.length >= REAPED_MAX) this.#request({});
    this.#ended.push(pidfd);
    this.#mourners.set(this.#asked + 1, told);
    this.#ask();
  }

  #ask(): void {
    this.#asked++;
    this.#request({ answer: this.#asked });
  }

  #hear(answer: number, status: number): void {
    this.#answered = answer;
    const told = this.#mourners.get(answer);
    this.#mourners.delete(answer);
    told?.(status);
  }

  /** Takes leave of a child of it that has ended, soon. @param pidfd is the launcher's from now on. */
  reap(pidfd: number): void {
    this.#ended.push(pidfd);
    if (this.#reaping) return;
    this.#reaping = true;
    this.#reactor.at(this.#reactor.now() + REAP_NS, () => {
      this.#reaping = false;
      while (this.#watches.length > 0 && this.#ended.length > 0) this.#request({});
    });
  }

  /** Sends a request, and with it the ended. */
  #request(
    wanted: {
      readonly token?: bigint;
      readonly stepCount?: number;
      readonly answer?: number;
      readonly name?: string;
    },
    fileCount = 0,
    fds: readonly number[] = [],
  ): Errno | undefined {
    const reaped = this.#ended.splice(0, REAPED_MAX);
    const request = new Uint8Array(LauncherRequest.size);
    const view = new DataView(request.buffer);
    view.setBigUint64(LauncherRequest.token, wanted.token ?? 0n, true);
    view.setUint32(LauncherRequest.reapCount, reaped.length, true);
    view.setUint32(LauncherRequest.fileCount, fileCount, true);
    view.setUint32(LauncherRequest.stepCount, wanted.stepCount ?? 0, true);
    view.setUint32(LauncherRequest.answer, wanted.answer ?? 0, true);
    const name = Buffer.from(wanted.name ?? "", "latin1").subarray(0, 15);
    request.set(name, LauncherRequest.name);
    const all = Int32Array.from([...reaped, ...fds]);
    const sent = native.sendDescriptors(this.#control, request, all);
    for (const pidfd of reaped) call("close", pidfd);
    return sent < 0 ? errnoOf(-sent) : undefined;
  }

  /**
   * Answers a notification with a duplicate of `fd` in the executor, somewhere in its window of descriptors:
   * its call returns the number. An executor closes what it got long before its number comes round again.
   * @returns EAGAIN when it got nothing and will ask again, since a signal has interrupted it or us: the host
   *   then starts this call again, which finds the notification answered, or gone.
   */
  donate(note: Notification, fd: number): Errno | undefined {
    const request = new Uint8Array(24);
    const view = new DataView(request.buffer);
    view.setBigUint64(0, note.id, true);
    view.setUint32(8, SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, true);
    view.setUint32(12, fd, true);
    view.setUint32(16, this.#nextInWindow, true);
    view.setUint32(20, FD_CLOEXEC_FLAG, true);
    this.#nextInWindow =
      this.#nextInWindow === DESCRIPTOR_WINDOW.last
        ? DESCRIPTOR_WINDOW.first
        : this.#nextInWindow + 1;
    const result = call("ioctl", this.#listener, SECCOMP_IOCTL_NOTIF_ADDFD, request);
    if (result === ENOENT || result === EINPROGRESS || result === EINTR) return EAGAIN;
    return result instanceof Errno ? result : undefined;
  }

  /** Whether the caller still waits for its answer: then `note.pid` is still its id. */
  waits(note: Notification): boolean {
    const id = new BigUint64Array([note.id]);
    return call("ioctl", this.#listener, SECCOMP_IOCTL_NOTIF_ID_VALID, id) === 0;
  }

  /** Answers a notification with a number, or an error. */
  reply(note: Notification, result: number | Errno): void {
    const response = new Uint8Array(24);
    const view = new DataView(response.buffer);
    view.setBigUint64(0, note.id, true);
    if (result instanceof Errno) view.setInt32(16, -result.number, true);
    else view.setBigInt64(8, BigInt(result), true);
    call("ioctl", this.#listener, SECCOMP_IOCTL_NOTIF_SEND, response);
  }

  /** Ends the launcher and with it all executors. Harmless when it has ended. */
  close(): void {
    if (this.#watches.length === 0) return;
    for (const watch of this.#watches.splice(0)) watch.close();
    for (const pidfd of this.#ended.splice(0)) call("close", pidfd);
    call("close", this.#control);
    call("close", this.#listener);
    call("kill", this.pid, 9);
    call("wait4", this.pid, null, 0, null);
  }

  /** @returns what it says; undefined when it has ended. */
  #receiveReply(): Reply | undefined {
    const bytes = new Uint8Array(LauncherReply.size);
    const got = native.receiveDescriptors(this.#control, bytes, new Int32Array(1));
    if (got !== LauncherReply.size) return undefined;
    const view = new DataView(bytes.buffer);
    return {
      token: view.getBigUint64(LauncherReply.token, true),
      error: errnoOf(view.getUint32(LauncherReply.error, true)),
      answer: view.getUint32(LauncherReply.answer, true),
      status: view.getUint32(LauncherReply.status, true),
    };
  }

  #receive(): Notification | undefined {
    // Receiving waits when there is nothing: ask first.
    const poll = new Int32Array(2);
    poll[0] = this.#listener;
    poll[1] = POLLIN;
    const ready = call("ppoll", poll, 1, ZERO_TIME, null, 0);
    if (ready !== 1 || (poll[1] as number) >>> 16 !== POLLIN) return undefined;
    const bytes = new Uint8Array(NOTIFICATION_SIZE);
    const result = call("ioctl", this.#listener, SECCOMP_IOCTL_NOTIF_RECV, bytes);
    // The caller was killed meanwhile.
    if (result instanceof Errno) return undefined;
    const view = new DataView(bytes.buffer);
    // struct seccomp_notif: id, pid, flags, then seccomp_data: nr, arch, ip, args[6].
    return {
      id: view.getBigUint64(0, true),
      pid: view.getUint32(8, true),
      kind: view.getUint32(32, true),
      token: view.getBigUint64(40, true),
    };
  }
}

/** Host ids nobody else uses: beyond what distributions give to users and subordinate ids. */
const CONTAINER_IDS = { first: 0x70000000, end: 0x7f000000 };
const MFD_CLOEXEC = 1;
const ZERO_TIME = new Uint8Array(16);

/** A launcher that serves. */
interface Started {
  readonly pid: number;
  /** Our end of the control socket. */
  readonly control: number;
  readonly listener: number;
  readonly hello: Uint8Array;
}

function controlPair(): { readonly ours: number; readonly theirs: number } {
  const pair = new Int32Array(2);
  must(call("socketpair", AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, pair), "socketpair");
  return { ours: pair[0] as number, theirs: pair[1] as number };
}

function run(guest: Isa, stage: string, fds: readonly number[]): number {
  const program = launcherPath(guest);
  const pid = native.spawnLauncher(program, stage, 2, Int32Array.from(fds));
  if (pid < 0) throw new Error(`Cannot start ${program}: ${errnoOf(-pid)}`);
  return pid;
}

function receiveHello(control: number, fds: Int32Array): Uint8Array {
  const hello = new Uint8Array(LauncherHello.size);
  if (native.receiveDescriptors(control, hello, fds) !== LauncherHello.size) {
    throw new Error("The launcher did not start; its own message is above");
  }
  return hello;
}

function startTrusted(guest: Isa, lifeFd: number): Started {
  const { ours, theirs } = controlPair();
  const fds = Int32Array.of(NONE);
  let pid = NONE;
  try {
    try {
      pid = run(guest, "trusted", [theirs, lifeFd]);
    } finally {
      call("close", theirs);
    }
    const hello = receiveHello(ours, fds);
    return { pid, control: ours, listener: fds[0] as number, hello };
  } catch (error) {
    giveUp(pid, [ours, ...fds]);
    throw error;
  }
}

/** Leaves nothing of a start that failed. */
function giveUp(pid: number, fds: readonly number[]): void {
  if (pid !== NONE) {
    call("kill", pid, SIGKILL);
    call("wait4", pid, null, 0, null);
  }
  for (const fd of fds) call("close", fd);
}

/** One message of a launcher that confines itself. @throws ConfinementRefused */
function receiveReport(control: number, kind: Report["kind"], fds: Int32Array): Report {
  const bytes = new Uint8Array(REPORT_SIZE);
  const got = native.receiveDescriptors(control, bytes, fds);
  const report = got === REPORT_SIZE ? decodeReport(bytes) : undefined;
  if (report?.kind === "failed") throw new ConfinementRefused(report.step, report.errno);
  if (report?.kind !== kind) throw new Error(`The launcher ended before it was ${kind}`);
  return report;
}

/** See profiles/README.md for the order. */
function startConfined(guest: Isa, options: NonNullable<LauncherOptions["confinement"]>): Started {
  const { processes, memoryBytes } = options;
  const { ours, theirs } = controlPair();
  const namespaces = Int32Array.of(NONE, NONE);
  const fds = Int32Array.of(NONE);
  /** What the launcher gets: to be closed however this ends. */
  const passed = [theirs];
  let pid = NONE;
  try {
    const description = describeConfinement({
      processes,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    });
    passed.push(description);
    const preparer = run(guest, "prepare", [theirs, description]);
    try {
      receiveReport(ours, "prepared", namespaces);
    } finally {
      call("wait4", preparer, null, 0, null);
    }
    passed.push(...namespaces);
    options.confineSentry();
    const launcher = run(guest, "launch", [theirs, description, ...namespaces]);
    try {
      const report = receiveReport(ours, "started", fds);
      if (report.kind === "started") ({ pid } = report);
      // From here on its end is the end of the messages.
      for (const fd of passed.splice(0)) call("close", fd);
      receiveReport(ours, "listening", fds);
      const hello = receiveHello(ours, new Int32Array(1));
      return { pid, control: ours, listener: fds[0] as number, hello };
    } finally {
      call("wait4", launcher, null, 0, null);
    }
  } catch (error) {
    giveUp(pid, [ours, ...fds]);
    throw error;
  } finally {
    for (const fd of passed) call("close", fd);
  }
}

/** A memfd with the description that guest/confine reads. */
function describeConfinement(limits: {
  readonly processes: number;
  readonly memoryBytes?: number;
}): number {
  const root = process.getuid?.() === 0;
  const confinement = executorConfinement({
    ...limits,
    isa: HOST_ISA,
    hostUid: root ? randomInt(CONTAINER_IDS.first, CONTAINER_IDS.end) : (process.getuid?.() ?? 0),
    hostGid: root ? randomInt(CONTAINER_IDS.first, CONTAINER_IDS.end) : (process.getgid?.() ?? 0),
  });
  const bytes = encodeConfinement(confinement);
  const fd = must(
    call("memfd_create", Buffer.from("dd-confinement\0"), MFD_CLOEXEC),
    "memfd_create",
  );
  must(call("pwrite64", fd, bytes, bytes.length, 0), "pwrite");
  return fd;
}

function must(result: number | Errno, what: string): number {
  if (result instanceof Errno) throw new Error(`${what}: ${result}`);
  return result;
}

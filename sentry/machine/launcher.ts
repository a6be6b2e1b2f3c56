import { LauncherHello, SpawnRequest } from "../../ring/layout.ts";
import { native } from "../../ring/native.ts";
import { EAGAIN, ENOENT, Errno, errnoOf } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import type { HostAuxv } from "../kernel/machine.ts";

/** Where the native build puts the launcher. */
const LAUNCHER = new URL("../../../Release/dd-guest", import.meta.url).pathname;

const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC = 5 | 0o2000000;
const POLLIN = 1;

// <linux/seccomp.h>
const SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
const SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
const SECCOMP_IOCTL_NOTIF_ADDFD = 0x40182103;
const SECCOMP_ADDFD_FLAG_SEND = 2;
const NOTIFICATION_SIZE = 80;
const FD_CLOEXEC_FLAG = 0o2000000;
const PLATFORMS: Partial<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

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

/** The container's launcher process: it forks executors, which then speak through designated calls. */
export class Launcher {
  readonly auxv: HostAuxv;
  readonly pid: number;
  readonly #control: number;
  readonly #listener: number;
  readonly #watches: Watch[];

  /**
   * Starts the launcher.
   * @param notified hears of each designated call, which it must answer with {@link donate} or {@link reply}.
   * @param gone hears that the launcher, and with it every executor, has ended.
   * @throws Error when the host refuses, with what it said.
   */
  constructor(reactor: Reactor, notified: (note: Notification) => void, gone: () => void) {
    const pair = new Int32Array(2);
    must(call("socketpair", AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, pair), "socketpair");
    const [ours, theirs] = pair as unknown as [number, number];
    const pid = native.spawnLauncher(LAUNCHER, theirs, 2);
    call("close", theirs);
    if (pid < 0) throw new Error(`Cannot start ${LAUNCHER}: ${errnoOf(-pid)}`);
    const hello = new Uint8Array(LauncherHello.size);
    const fds = new Int32Array(1);
    const got = native.receiveDescriptors(ours, hello, fds);
    if (got !== LauncherHello.size || fds[0] === -1) {
      call("close", ours);
      throw new Error("The launcher did not start; its own message is above");
    }
    const view = new DataView(hello.buffer);
    this.auxv = {
      hwcap: view.getBigUint64(LauncherHello.hwcap, true),
      hwcap2: view.getBigUint64(LauncherHello.hwcap2, true),
      minsigstksz: view.getUint32(LauncherHello.minsigstksz, true),
      clockTick: view.getUint32(LauncherHello.clockTick, true),
      pageSize: 4096,
      platform: PLATFORMS[process.arch] ?? process.arch,
      sysinfoEhdr: Number(view.getBigUint64(LauncherHello.vdso, true)),
    };
    this.pid = pid;
    this.#control = ours;
    this.#listener = fds[0] as number;
    this.#watches = [
      reactor.watch(this.#listener, POLLIN, () => {
        for (let note = this.#receive(); note !== undefined; note = this.#receive()) notified(note);
      }),
      reactor.watch(ours, POLLIN, () => {
        this.close();
        gone();
      }),
    ];
  }

  /** Asks for a new executor. It announces itself by a notification with the token. */
  spawn(spawn: Spawn): Errno | undefined {
    const request = new Uint8Array(SpawnRequest.size);
    const view = new DataView(request.buffer);
    view.setBigUint64(SpawnRequest.token, spawn.token, true);
    view.setUint32(SpawnRequest.fileCount, spawn.files.length, true);
    view.setUint32(SpawnRequest.stepCount, spawn.stepCount, true);
    request.set(Buffer.from(spawn.name, "latin1").subarray(0, 15), SpawnRequest.name);
    const fds = Int32Array.from([spawn.ringFd, spawn.doorbellFd, ...spawn.files]);
    const sent = native.sendDescriptors(this.#control, request, fds);
    return sent < 0 ? errnoOf(-sent) : undefined;
  }

  /** Answers a notification with a duplicate of `fd` in the executor: its call returns the number. */
  donate(note: Notification, fd: number): Errno | undefined {
    const request = new Uint8Array(24);
    const view = new DataView(request.buffer);
    view.setBigUint64(0, note.id, true);
    view.setUint32(8, SECCOMP_ADDFD_FLAG_SEND, true);
    view.setUint32(12, fd, true);
    view.setUint32(20, FD_CLOEXEC_FLAG, true);
    const result = call("ioctl", this.#listener, SECCOMP_IOCTL_NOTIF_ADDFD, request);
    return result instanceof Errno ? result : undefined;
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
    call("close", this.#control);
    call("close", this.#listener);
    call("kill", this.pid, 9);
    call("wait4", this.pid, null, 0, null);
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
    if (result === ENOENT || result === EAGAIN || result instanceof Errno) return undefined;
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

const ZERO_TIME = new Uint8Array(16);

function must(result: number | Errno, what: string): number {
  if (result instanceof Errno) throw new Error(`${what}: ${result}`);
  return result;
}

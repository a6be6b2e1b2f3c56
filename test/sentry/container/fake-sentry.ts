import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { constants as os } from "node:os";
import { join } from "node:path";
import { EACCES, ENOENT, type Errno } from "../../../sentry/abi/errno.ts";
import { signalName } from "../../../sentry/abi/signal.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { setWindowSize } from "../../../sentry/host/terminal.ts";
import type {
  ContainerFiles,
  ContainerSpec,
  ExitStatus,
  ProcessHandle,
  ProcessSpec,
  SentryContainer,
  SentryOptions,
  StartFailure,
  Stdio,
} from "../../../sentry/spec.ts";
import { openPty } from "./pty.ts";

const TURN_MS = 2;

function unavailable(): never {
  throw Object.assign(new Error("A fake has no files"), { code: "FILES_FAILED" });
}

/**
 * A sentry without a kernel: its processes are the host's own. It stands in for the real one where the
 * subject of a test is what surrounds it: state, control socket, logs, terminals, the command line.
 */
export class FakeSentry implements SentryContainer {
  readonly reactor = new EpollReactor();
  private readonly spec: ContainerSpec;
  private readonly entered: (() => void) | undefined;
  private readonly turning: NodeJS.Timeout;
  private readonly children = new Map<number, { child: ChildProcess; spec: ProcessSpec }>();

  constructor(spec: ContainerSpec, options: SentryOptions) {
    if (spec.rootfs.image === "broken") {
      throw Object.assign(new Error("The image is broken"), { code: "BROKEN" });
    }
    this.spec = spec;
    this.entered = options.entered;
    this.turning = setInterval(() => this.reactor.turn(0), TURN_MS);
    if (spec.trace) options.log("fake sentry");
  }

  readonly files: ContainerFiles = {
    read: (path, limitBytes) => {
      const file = join(this.spec.rootfs.upper, path);
      return existsSync(file) ? readFileSync(file).subarray(0, limitBytes) : ENOENT;
    },
    stat: () => unavailable(),
    pack: () => unavailable(),
    unpack: () => unavailable(),
    changes: () => [],
    export: () => unavailable(),
    layer: () => unavailable(),
  };

  start(process: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure {
    if (process.env.includes("FAKE_DEFECT=1")) {
      setTimeout(() => {
        throw new Error("A defect of the sentry");
      }, 300);
    }
    const started = this.spawn(process, stdio);
    if (this.entered !== undefined) setImmediate(this.entered);
    return started;
  }

  exec(process: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure {
    return this.spawn(process, stdio);
  }

  processes() {
    return [...this.children].map(([pid, { spec }]) => ({
      pid,
      ppid: 0,
      uid: spec.uid,
      state: "S",
      threads: 1,
      cpuMs: 1500,
      virtualBytes: 8 << 20,
      residentBytes: 1 << 20,
      startedAt: 0,
      command: spec.argv.join(" "),
    }));
  }

  publishedPorts(): [] {
    return [];
  }

  attachNetwork(): void {}

  detachNetwork(): void {}

  stats() {
    return {
      cpuMs: 2500,
      cpuUserNs: 2_000_000_000,
      cpuSystemNs: 500_000_000,
      memoryBytes: 1_000_000,
      sentryMemoryBytes: 0,
      memoryLimitBytes: this.spec.limits.memoryBytes,
      pids: this.children.size,
      pidsLimit: this.spec.limits.pids,
      interfaces: [],
      blockReadBytes: 0,
      blockWriteBytes: 0,
    };
  }

  isPaused = false;

  setPaused(paused: boolean): void {
    this.isPaused = paused;
  }

  update(): [] {
    return [];
  }

  confinement() {
    return this.spec.mode === "trusted"
      ? []
      : [{ name: "seccomp", active: true, detail: "a filter of the fake's" }];
  }

  close(): undefined {
    for (const { child } of this.children.values()) child.kill("SIGKILL");
    clearInterval(this.turning);
    this.reactor.close();
  }

  private spawn(spec: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure {
    const errno = findProgram(spec);
    if (errno !== undefined) {
      return { errno, what: "program", message: `exec: "${spec.argv[0]}": ${errno.text}` };
    }
    if (!existsSync(spec.cwd)) {
      return { errno: ENOENT, what: "cwd", message: `chdir to ${spec.cwd}: ${ENOENT.text}` };
    }
    const pty = "terminal" in stdio ? openPty(stdio.terminal.rows, stdio.terminal.cols) : undefined;
    const fds =
      "terminal" in stdio
        ? [pty?.slave ?? -1, pty?.slave ?? -1, pty?.slave ?? -1]
        : [stdio.stdin, stdio.stdout, stdio.stderr];
    const words = pty === undefined ? spec.argv : ["setsid", "--ctty", ...spec.argv];
    const [program = "", ...args] = words;
    const env = Object.fromEntries(
      [...spec.env, `UID_WANTED=${spec.uid}`].map((word) => {
        const equals = word.indexOf("=");
        return [word.slice(0, equals), word.slice(equals + 1)];
      }),
    );
    const child = spawn(program, args, { env, cwd: spec.cwd, stdio: fds });
    const pid = child.pid ?? -1;
    this.children.set(pid, { child, spec });
    if (pty !== undefined) closeSync(pty.slave);
    let ended: ExitStatus | undefined;
    const listeners: ((status: ExitStatus) => void)[] = [];
    child.on("exit", (code, signal) => {
      this.children.delete(pid);
      const signo = signal === null ? undefined : os.signals[signal];
      ended = signo === undefined ? { code: code ?? 0 } : { code: 128 + signo, signal: signo };
      for (const listener of listeners) listener(ended);
    });
    return {
      pid,
      terminal: pty?.master,
      signal: (signo) => {
        if (ended === undefined) child.kill(signalName(signo) as NodeJS.Signals);
      },
      resize: ({ rows, cols }) => {
        if (pty !== undefined) setWindowSize(pty.master, rows, cols);
      },
      onExit: (callback) => {
        if (ended === undefined) listeners.push(callback);
        else this.reactor.post(() => ended !== undefined && callback(ended));
      },
    };
  }
}

/** Why a program cannot be executed, by the rules of execvp(3). */
function findProgram({ argv, env }: ProcessSpec): Errno | undefined {
  const [name = ""] = argv;
  const path = env.find((word) => word.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  const places = name.includes("/") ? [name] : path.split(":").map((each) => join(each, name));
  let errno: Errno = ENOENT;
  for (const place of places) {
    if (!existsSync(place)) continue;
    errno = EACCES;
    try {
      accessSync(place, constants.X_OK);
      if (statSync(place).isFile()) return undefined;
    } catch {
      // The next place may have one that can.
    }
  }
  return errno;
}

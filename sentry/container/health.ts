import { openSync } from "node:fs";
import { fromText } from "../abi/bytes.ts";
import { EAGAIN, Errno } from "../abi/errno.ts";
import { SIGKILL } from "../abi/signal.ts";
import { close, O_NONBLOCK, pipe, readBytes, setStatusFlags } from "../host/io.ts";
import type { Timer, Watch } from "../host/reactor.ts";
import type { ProcessHandle, SentryContainer } from "../spec.ts";
import { writeJson } from "./json-file.ts";
import { processSpec } from "./process-spec.ts";
import type { HealthCheck, ProcessConfig } from "./record.ts";

const POLLIN = 0x1;
const NS_PER_MS = 1_000_000n;
/** Docker keeps as many results, and so much of the output of each. */
const RESULTS_MAX = 5;
const OUTPUT_BYTES_MAX = 4096;
const READ_BYTES = 4096;
/** Of the file in the container's directory. */
export const HEALTH_FILE = "health.json";

export type HealthStatus = "starting" | "healthy" | "unhealthy";

/** One run of the check. */
export interface HealthResult {
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  /** -1: it could not be run, or took too long. */
  readonly exitCode: number;
  readonly output: string;
}

/** What the checks of a running container say: `health.json`. */
export interface Health {
  readonly status: HealthStatus;
  readonly failingStreak: number;
  /** The last ones, oldest first. */
  readonly log: readonly HealthResult[];
}

/**
 * Checks a container's health as long as it runs, in its own process, so that it needs nobody else.
 * See HEALTHCHECK in the Dockerfile reference.
 */
export class HealthMonitor {
  private readonly sentry: SentryContainer;
  private readonly check: HealthCheck;
  private readonly process: ProcessConfig;
  private readonly path: string;
  private readonly onChange: (status: HealthStatus) => void;
  private readonly startedAt = Date.now();
  private health: Health = { status: "starting", failingStreak: 0, log: [] };
  private hasSucceeded = false;
  private timer: Timer;
  private probe: Probe | undefined;

  /**
   * @param path of the file that tells everybody.
   * @param onChange called when the status has changed and is written.
   */
  constructor(
    sentry: SentryContainer,
    check: HealthCheck,
    process: ProcessConfig,
    path: string,
    onChange: (status: HealthStatus) => void,
  ) {
    this.sentry = sentry;
    this.check = check;
    this.process = process;
    this.path = path;
    this.onChange = onChange;
    writeJson(path, this.health);
    this.timer = this.schedule();
  }

  close(): void {
    this.timer.cancel();
    this.probe?.close();
  }

  private schedule(): Timer {
    const { intervalMs, startIntervalMs, startPeriodMs } = this.check;
    const starting = this.health.status === "starting" && this.inStartPeriod(startPeriodMs);
    const delayMs = starting ? Math.min(startIntervalMs, intervalMs) : intervalMs;
    const { reactor } = this.sentry;
    return reactor.at(reactor.now() + BigInt(delayMs) * NS_PER_MS, () => this.run());
  }

  private inStartPeriod(startPeriodMs: number): boolean {
    return Date.now() - this.startedAt < startPeriodMs;
  }

  private run(): void {
    // As docker: what is frozen is not asked how it is.
    if (this.sentry.isPaused) {
      this.timer = this.schedule();
      return;
    }
    const start = Date.now();
    this.probe = new Probe(this.sentry, this.check, this.process, (exitCode, output) => {
      this.probe = undefined;
      this.take({ start, end: Date.now(), exitCode, output });
      this.timer = this.schedule();
    });
  }

  private take(result: HealthResult): void {
    const before = this.health.status;
    let { status, failingStreak } = this.health;
    if (result.exitCode === 0) {
      this.hasSucceeded = true;
      failingStreak = 0;
      status = "healthy";
    } else {
      const spared = !this.hasSucceeded && this.inStartPeriod(this.check.startPeriodMs);
      failingStreak += 1;
      if (spared) failingStreak = 0;
      else if (failingStreak >= this.check.retries) status = "unhealthy";
    }
    const log = [...this.health.log, result].slice(-RESULTS_MAX);
    this.health = { status, failingStreak, log };
    writeJson(this.path, this.health);
    if (status !== before) this.onChange(status);
  }
}

/** One run of the check. */
class Probe {
  private readonly onEnd: (exitCode: number, output: string) => void;
  private readonly readEnd: number;
  private readonly watch: Watch;
  private readonly chunks: Buffer[] = [];
  private length = 0;
  private readonly room = Buffer.alloc(READ_BYTES);
  private timer: Timer | undefined;
  private handle: ProcessHandle | undefined;
  private open = true;

  constructor(
    sentry: SentryContainer,
    check: HealthCheck,
    process: ProcessConfig,
    onEnd: (exitCode: number, output: string) => void,
  ) {
    this.onEnd = onEnd;
    const { reactor } = sentry;
    const ends = pipe(O_NONBLOCK);
    if (ends instanceof Errno) throw new Error(`A health check found no pipe: ${ends.text}`);
    const [readEnd, writeEnd] = ends;
    // The program is to see an ordinary pipe.
    setStatusFlags(writeEnd, 0);
    this.readEnd = readEnd;
    this.watch = reactor.watch(readEnd, POLLIN, () => this.read());
    const nothing = openSync("/dev/null", "r");
    let failure: string | undefined;
    try {
      const spec = processSpec(sentry, { ...process, argv: check.argv });
      const started = sentry.exec(spec, { stdin: nothing, stdout: writeEnd, stderr: writeEnd });
      if ("errno" in started) failure = started.message;
      else this.handle = started;
    } catch (error) {
      failure = (error as Error).message;
    }
    close(nothing);
    close(writeEnd);
    const { handle } = this;
    if (handle === undefined) {
      reactor.post(() => this.end(-1, failure ?? ""));
      return;
    }
    handle.onExit(({ code }) => {
      this.read();
      this.end(code, this.output());
    });
    const deadline = reactor.now() + BigInt(check.timeoutMs) * NS_PER_MS;
    this.timer = reactor.at(deadline, () => {
      handle.signal(SIGKILL);
      this.read();
      const said = this.output();
      const failed = `Health check exceeded timeout (${duration(check.timeoutMs)})`;
      this.end(-1, said === "" ? failed : `${failed}: ${said}`);
    });
  }

  /** Nobody wants to know any more. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.timer?.cancel();
    this.watch.close();
    close(this.readEnd);
  }

  private end(exitCode: number, output: string): void {
    if (!this.open) return;
    this.close();
    this.onEnd(exitCode, output);
  }

  private read(): void {
    while (this.open) {
      const length = readBytes(this.readEnd, this.room);
      if (length === EAGAIN) return;
      if (length instanceof Errno || length === 0) {
        this.watch.setEvents(0);
        return;
      }
      if (this.length < OUTPUT_BYTES_MAX) {
        this.chunks.push(Buffer.from(this.room.subarray(0, length)));
        this.length += length;
      }
    }
  }

  private output(): string {
    const bytes = Buffer.concat(this.chunks);
    const text = bytes.toString("utf8", 0, OUTPUT_BYTES_MAX);
    return bytes.length > OUTPUT_BYTES_MAX ? `${text}...` : text;
  }
}

/** As Go writes durations, for the ones people choose. */
function duration(ms: number): string {
  if (ms % 1000 !== 0) return ms < 1000 ? `${ms}ms` : `${ms / 1000}s`;
  const seconds = ms / 1000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

/** The argv of a check's test in docker's form: `CMD`, `CMD-SHELL`; undefined when there is none. */
export function healthArgv(
  test: readonly string[],
  shell: readonly string[],
): readonly string[] | undefined {
  const [kind, ...words] = test;
  if (kind === "CMD") return words.length === 0 ? undefined : words.map(fromText);
  if (kind === "CMD-SHELL") return [...shell, words.join(" ")].map(fromText);
  return undefined;
}

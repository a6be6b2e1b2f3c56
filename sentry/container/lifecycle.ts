import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fromText } from "../abi/bytes.ts";
import type {
  ConfinementLayer,
  ExitStatus,
  ProcessHandle,
  SentryConstructor,
  SentryContainer,
  WindowSize,
} from "../spec.ts";
import { ControlServer } from "./control-server.ts";
import { HEALTH_FILE, HealthMonitor } from "./health.ts";
import { Networking } from "./network/networking.ts";
import { withDefaults } from "./process-config.ts";
import { exitCodeOf, type FailureReason, processSpec, reasonOf } from "./process-spec.ts";
import type { ContainerRecord, ContainerState } from "./record.ts";
import { updatedRecord } from "./record-update.ts";
import type { ContainerStore, HeldContainer } from "./store.ts";
import { type Attachment, Streams } from "./streams.ts";
import { VolumeStore } from "./volumes.ts";

export const CONTROL_SOCKET = "control.sock";
const DD_FAILED = 125;
/** Clients that are slow to take what was printed last are given so long. */
const FAREWELL_MS = 30_000;

/** Why a container did not start, as the user is told. */
export interface RunFailure {
  readonly exitCode: number;
  readonly message: string;
  /** What failed, when the host or the container's files said no. */
  readonly reason?: FailureReason;
}

/**
 * Starts a held container in this process, which becomes its sentry, and keeps its state true until it has
 * ended; then lets go of it, and removes it if that was wished.
 */
export class RunningContainer {
  private readonly store: ContainerStore;
  private readonly held: HeldContainer;
  private readonly sentry: SentryContainer;
  private readonly process: ProcessHandle;
  private readonly streams: Streams;
  private readonly networking: Networking;
  private readonly control: ControlServer;
  private readonly health: HealthMonitor | undefined;
  private readonly startedAt = Date.now();
  private readonly restartCount: number;
  /** Somebody has asked for its end. */
  private stopped = false;
  private kept = false;
  private readonly onEnd: (status: ExitStatus) => void;

  private constructor(
    store: ContainerStore,
    held: HeldContainer,
    sentry: SentryContainer,
    process: ProcessHandle,
    streams: Streams,
    networking: Networking,
    restartCount: number,
    onEnd: (status: ExitStatus) => void,
  ) {
    this.store = store;
    this.held = held;
    this.sentry = sentry;
    this.process = process;
    this.streams = streams;
    this.networking = networking;
    this.restartCount = restartCount;
    this.onEnd = onEnd;
    this.control = new ControlServer(join(held.runDirectory, CONTROL_SOCKET), {
      sentry,
      main: process,
      streams,
      networking,
      willStop: (keep) => {
        this.stopped = true;
        this.kept = keep;
      },
      paused: (paused) => held.setState({ ...this.running(), ...(paused ? { paused } : {}) }),
      rename: (name) => {
        store.rename(held, name);
        networking.renamed();
      },
      update: (update) => {
        held.setRecord(updatedRecord(held.record, update));
        return update.limits === undefined ? [] : sentry.update(update.limits);
      },
    });
    held.setState(this.running());
    const { health, process: config } = held.record;
    this.health =
      health &&
      new HealthMonitor(sentry, health, config, join(held.directory, HEALTH_FILE), (status) =>
        this.control.tellHealth(status),
      );
    process.onExit((status) => this.end(status));
  }

  /**
   * @param held not running; it is let go of in any case.
   * @param log receives the sentry's own diagnostics.
   * @param onEnd called when everything is over: the state written, the terminal's last output printed.
   * @param entered called when its program is about to run; never when that ends before.
   * @param restartCount how often its restart policy has started it again.
   */
  static start(
    store: ContainerStore,
    held: HeldContainer,
    Sentry: SentryConstructor,
    attachment: Attachment,
    log: (line: string) => void,
    onEnd: (status: ExitStatus) => void,
    restartCount = 0,
    entered: () => void = () => {},
  ): RunningContainer | RunFailure {
    let sentry: SentryContainer | undefined;
    let streams: Streams | undefined;
    let networking: Networking | undefined;
    try {
      mkdirSync(held.runDirectory, { recursive: true, mode: 0o700 });
      networking = Networking.open(store, held);
      sentry = new Sentry(networking.spec(), { log, entered, ...networking.options() });
      networking.started(sentry);
      streams = new Streams(sentry, held, attachment);
      const config = held.record.process;
      const spec = processSpec(sentry, {
        ...config,
        env: withDefaults(config.env, networking.linkEnvironment().map(fromText)),
      });
      const process = sentry.start(spec, streams.stdio);
      if ("errno" in process) {
        const failure = {
          exitCode: exitCodeOf(process),
          message: process.message,
          reason: reasonOf(process),
        };
        abandon(store, held, sentry, streams, networking, failure);
        return failure;
      }
      streams.attach(process);
      const parts = [store, held, sentry, process, streams, networking] as const;
      return new RunningContainer(...parts, restartCount, onEnd);
    } catch (error) {
      const { code, message, stack } = error as Error & { code?: unknown };
      const failure = {
        exitCode: DD_FAILED,
        message:
          typeof code === "string"
            ? (networking?.explain(message, code) ?? message)
            : `defect in dd: ${stack ?? message}`,
      };
      abandon(store, held, sentry, streams, networking, failure);
      return failure;
    }
  }

  signal(signo: number): void {
    this.process.signal(signo);
  }

  resize(size: WindowSize): void {
    this.process.resize(size);
  }

  confinement(): readonly ConfinementLayer[] {
    return this.sentry.confinement();
  }

  private running(): ContainerState & { status: "running" } {
    return {
      status: "running",
      pid: globalThis.process.pid,
      startedAt: this.startedAt,
      logged: this.streams.logged,
      restartCount: this.restartCount,
    };
  }

  private end(status: ExitStatus): void {
    this.health?.close();
    this.streams.finish();
    const prepareNext = this.sentry.close();
    this.networking.close();
    this.held.setState({
      status: "exited",
      startedAt: this.startedAt,
      finishedAt: Date.now(),
      exitCode: status.code,
      ...(status.signal === undefined ? {} : { signal: status.signal }),
      ...(status.oomKilled === true ? { oomKilled: true } : {}),
      ...(this.stopped ? { stopped: true } : {}),
      restartCount: this.restartCount,
    });
    this.streams.endClients(0);
    const removed = this.held.record.autoRemove && !this.kept;
    const freeSpace = removed ? hideContainer(this.store, this.held, true) : undefined;
    if (!removed) rmSync(this.held.runDirectory, { recursive: true, force: true });
    this.control.finish(status);
    if (!removed) this.held.release();
    this.streams.endClients(FAREWELL_MS);
    // Nobody waits for these.
    freeSpace?.();
    prepareNext?.();
    this.onEnd(status);
  }
}

/**
 * Removes a held container, which does not run, and lets go of it.
 * @param volumes also the volumes made for it alone.
 */
export function removeContainer(
  store: ContainerStore,
  held: HeldContainer,
  volumes: boolean,
): void {
  hideContainer(store, held, volumes)();
}

/** Removes it for everybody. @returns frees its space and lets go of it. */
function hideContainer(store: ContainerStore, held: HeldContainer, volumes: boolean): () => void {
  const { anonymousVolumes }: ContainerRecord = held.record;
  const freeSpace = held.disappear();
  if (!volumes || anonymousVolumes.length === 0) return freeSpace;
  const others = store.list();
  const existing = new VolumeStore(store.directories.root);
  for (const name of anonymousVolumes) {
    try {
      existing.remove(name, others);
    } catch {
      // Another container mounts it by name, or the user has removed it.
    }
  }
  return freeSpace;
}

/** Leaves a container that could not start as docker does: there, with the reason, unless it was to go anyway. */
function abandon(
  store: ContainerStore,
  held: HeldContainer,
  sentry: SentryContainer | undefined,
  streams: Streams | undefined,
  networking: Networking | undefined,
  failure: RunFailure,
): void {
  streams?.finish();
  streams?.endClients(0);
  sentry?.close();
  networking?.close();
  rmSync(held.runDirectory, { recursive: true, force: true });
  if (held.record.autoRemove) {
    removeContainer(store, held, true);
    return;
  }
  held.setState({
    status: "exited",
    startedAt: 0,
    finishedAt: Date.now(),
    exitCode: failure.exitCode,
    error: failure.message,
    ...(failure.reason === undefined ? {} : { reason: failure.reason }),
  });
  held.release();
}

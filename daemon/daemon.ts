import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import type { Engine } from "../api/engine.ts";
import { buildServer } from "../api/server.ts";
import { type Directories, ensureDirectories } from "../sentry/container/directories.ts";
import { NetworkStore } from "../sentry/container/network/network-store.ts";
import { ContainerStore } from "../sentry/container/store.ts";
import { RecordLock } from "../sentry/host/record-lock.ts";
import { ImageStore } from "../sentry/image/image-store.ts";
import {
  addRegistries,
  type RegistryAdditions,
  readRegistrySettings,
} from "../sentry/image/registry-settings.ts";
import type { Mode } from "../sentry/spec.ts";
import type { DaemonContext, LogLevel } from "./context.ts";
import { createEngine } from "./engine.ts";
import { DaemonError } from "./errors.ts";
import { EventLog } from "./events.ts";
import { IdleCollector } from "./idle.ts";
import { listenOnLoopback, loopbackGuard } from "./loopback.ts";
import { untilTaken } from "./untaken.ts";

const SOCKET_NAME = "docker.sock";
const LOCK_NAME = "daemon.lock";
/** The socket is the owner's alone. */
const SOCKET_UMASK = 0o177;

export interface DaemonOptions {
  readonly directories: Directories;
  readonly backgroundProgram: string;
  /** Path of the program of a build step; see builder/step. */
  readonly buildStepProgram: string;
  /** The directory of the dashboard's page. */
  readonly pageDirectory: string;
  readonly defaultMode: Mode;
  readonly version: string;
  /** Registries besides those of the user's settings. */
  readonly registries?: RegistryAdditions | undefined;
  /** Absent: {@link socketPathOf}. */
  readonly socketPath?: string | undefined;
  /** Also listen on this port of the loopback address, for who sends the token; 0: any free one. */
  readonly tcpPort?: number | undefined;
  readonly log: (level: LogLevel, message: string, fields?: object) => void;
}

/** Where the daemon of these directories listens. */
export function socketPathOf({ run }: Directories): string {
  return join(run, SOCKET_NAME);
}

/** A daemon that serves. */
export class Daemon {
  readonly socketPath: string;
  private readonly stop: () => Promise<void>;

  private constructor(socketPath: string, stop: () => Promise<void>) {
    this.socketPath = socketPath;
    this.stop = stop;
  }

  /** @throws {DaemonError} `ALREADY_RUNNING`, `LISTEN_FAILED`; {@link ImageError} for bad registries. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { directories, log } = options;
    ensureDirectories(directories);
    const additions = options.registries ?? { insecure: [], mirrors: [] };
    addRegistries(readRegistrySettings(), additions); // before anything: they may be wrong
    const lock = lockOf(directories);
    const socketPath = options.socketPath ?? socketPathOf(directories);
    const context: DaemonContext = {
      ...options,
      socketPath,
      store: new ContainerStore(directories),
      networks: new NetworkStore(directories),
      images: new ImageStore(directories.root),
      registries: () => addRegistries(readRegistrySettings(), additions),
      events: new EventLog(),
    };
    const makeApi = async (engine: Engine) => (await buildServer({ engine, log })).server;
    const running = createEngine(context, makeApi);
    const { server, close } = await buildServer({ engine: running.engine, log, untilTaken });
    const { tcpPort } = options;
    const tcp =
      tcpPort === undefined
        ? undefined
        : await buildServer({ engine: running.engine, log, admit: loopbackGuard(directories) });
    try {
      await removeStale(socketPath);
      await listen(server, socketPath);
      if (tcp !== undefined) await listenOnLoopback(tcp.server, tcpPort ?? 0);
    } catch (error) {
      running.close();
      lock.release();
      throw error;
    }
    const idle = new IdleCollector();
    server.on("request", () => idle.stir());
    log("info", `listening on ${socketPath}`);
    const address = tcp?.server.address();
    if (typeof address === "object" && address !== null) {
      log("info", `listening on tcp://${address.address}:${address.port}`);
    }
    return new Daemon(socketPath, async () => {
      idle.close();
      running.close();
      await close();
      await tcp?.close();
      if (existsSync(socketPath)) unlinkSync(socketPath);
      lock.release();
    });
  }

  /** Stops serving. Containers go on. */
  close(): Promise<void> {
    return this.stop();
  }
}

/** One daemon for one store: two would both restart what is to be restarted. */
function lockOf({ run }: Directories): RecordLock {
  const path = join(run, LOCK_NAME);
  writeFileSync(path, "", { flag: "a", mode: 0o600 });
  const lock = RecordLock.tryAcquire(path);
  if (lock !== undefined) return lock;
  throw new DaemonError(
    "ALREADY_RUNNING",
    `A daemon runs already (process ${RecordLock.holder(path) ?? "unknown"})`,
    'See "ddcli daemon status"',
  );
}

/** The process of the running daemon, or undefined. */
export function daemonPid({ run }: Directories): number | undefined {
  const path = join(run, LOCK_NAME);
  return existsSync(path) ? RecordLock.holder(path) : undefined;
}

/** Removes what a daemon that was killed has left. */
async function removeStale(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (answers) {
    throw new DaemonError("LISTEN_FAILED", `Somebody else listens on ${path}`);
  }
  unlinkSync(path);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new DaemonError("LISTEN_FAILED", `Listening on ${path} failed: ${error.message}`));
    });
    const before = process.umask(SOCKET_UMASK);
    server.listen(path, () => resolve());
    process.umask(before);
  });
}

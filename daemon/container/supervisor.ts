import { ApiError } from "../../api/errors.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { ask, hold, stopContainer, untilFree } from "../../sentry/container/ask.ts";
import {
  type BackgroundProcess,
  type ClientChoice,
  EARLY_CLIENTS_MAX,
} from "../../sentry/container/background.ts";
import type { ControlClient } from "../../sentry/container/control-client.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { removeContainer } from "../../sentry/container/lifecycle.ts";
import type { Container, ContainerState } from "../../sentry/container/record.ts";
import type { ExitStatus, WindowSize } from "../../sentry/spec.ts";
import type { DaemonContext } from "../context.ts";
import { containerNetworkEvents } from "../networks/event.ts";
import { attributesOf } from "./attributes.ts";
import { requireShared } from "./host-options.ts";
import { Reserve } from "./reserve.ts";
import { Restarts } from "./restarts.ts";
import { startRefusal } from "./start-failure.ts";
import { volumeEvents } from "./volume-events.ts";

/** A client that waits to be joined with a container that does not run yet. */
export interface EarlyClient {
  readonly choice: ClientChoice;
  /** The container's ends of its pipes. */
  readonly descriptors: readonly number[];
  /** Closes them: they have been handed over, or never will be. */
  release(): void;
}

/** How a container's run ended, for those who wait. */
export interface Ended {
  readonly exitCode: number;
  readonly error: string | undefined;
}

type Waiter = (ended: Ended) => void;

/**
 * Starts containers and learns of their ends: by a connection to each running one's control socket, so that
 * an end is known at once, without looking, however it came about and whoever started the container.
 */
export class Supervisor {
  private readonly context: DaemonContext;
  private readonly watched = new Map<string, ControlClient>();
  private readonly waiters = new Map<string, Set<Waiter>>();
  private readonly removals = new Map<string, Set<Waiter>>();
  private readonly early = new Map<string, Set<EarlyClient>>();
  private readonly sizes = new Map<string, WindowSize>();
  private readonly turns = new Map<string, Promise<unknown>>();
  private readonly restarts: Restarts;
  private readonly reserve: Reserve;
  /** Being started by this daemon, which is about to watch them. */
  private readonly launching = new Set<string>();
  private closed = false;

  constructor(context: DaemonContext) {
    this.context = context;
    this.reserve = new Reserve(context.backgroundProgram, context.directories);
    this.restarts = new Restarts((id, count) =>
      this.inTurn(id, async () => {
        // Somebody may have stopped or removed it while it waited for its turn.
        if (this.restarts.isPending(id)) await this.launch(id, count);
      }).catch((error: unknown) => {
        context.log("warn", `restart of ${id} failed: ${(error as Error).message}`);
      }),
    );
  }

  /** Finds what runs already, and starts what is to run always. */
  resume(): void {
    for (const container of this.context.store.list()) {
      const { record, state } = container;
      const { id } = record.spec;
      if (state.status === "running") this.watch(container);
      else if (this.restarts.isDueAtStart(record.restart, state)) {
        this.restarts.schedule(id, restartCountOf(state) + 1, 0);
      }
    }
  }

  /** Lets go of everything; containers go on. */
  close(): void {
    this.closed = true;
    this.restarts.close();
    this.reserve.close();
    for (const client of this.watched.values()) client.close();
    for (const clients of this.early.values()) for (const client of clients) client.release();
  }

  /** What is done to one container is done one thing after the other. */
  inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.turns.get(id) ?? Promise.resolve()).then(work, work);
    const settled = turn.then(
      () => {},
      () => {},
    );
    this.turns.set(id, settled);
    settled.then(() => {
      if (this.turns.get(id) === settled) this.turns.delete(id);
    });
    return turn;
  }

  isRestarting(id: string): boolean {
    return this.restarts.isPending(id);
  }

  /** No restart is to follow the present or the next end. */
  cancelRestart(id: string): boolean {
    return this.restarts.cancel(id);
  }

  /** A container has been made, and will probably be started. */
  expectStart(): void {
    this.reserve.prepare();
  }

  /** Joins a client as soon as the container starts. */
  addEarly(id: string, client: EarlyClient): void {
    const clients = this.early.get(id) ?? new Set();
    if (clients.size >= EARLY_CLIENTS_MAX) {
      throw new ApiError("CONFLICT", "too many clients wait for this container");
    }
    this.early.set(id, clients.add(client));
  }

  removeEarly(id: string, client: EarlyClient): void {
    if (this.early.get(id)?.delete(client) === true) client.release();
  }

  /** The size its terminal is to start with. */
  setEarlySize(id: string, size: WindowSize): void {
    this.sizes.set(id, size);
  }

  /**
   * Starts a container that does not run.
   * @throws {ApiError} in docker's words.
   */
  start(id: string): Promise<void> {
    this.restarts.reset(id);
    return this.launch(id, 0);
  }

  /** @returns whether it ran. Returns when it has ended and nobody holds it. */
  async stop(
    container: Container,
    signo: number,
    timeoutMs: number,
    keep = false,
  ): Promise<boolean> {
    const { id } = container.record.spec;
    const wasPending = this.restarts.cancel(id);
    if (container.state.status !== "running") return wasPending;
    this.restarts.forbid(id);
    this.context.events.emit("container", "kill", id, {
      ...attributesOf(container.record),
      signal: String(signo),
    });
    this.attend(container);
    const ended = this.nextExit(id);
    await stopContainer(this.context.store, container, signo, timeoutMs, keep);
    if (this.watched.has(id)) await ended;
    return true;
  }

  /** The next end of a container that runs, or will. */
  nextExit(id: string, gone?: AbortSignal): Promise<Ended> {
    return register(this.waiters, id, gone);
  }

  nextRemoval(id: string, gone?: AbortSignal): Promise<Ended> {
    return register(this.removals, id, gone);
  }

  /** Removes a container that does not run. */
  async remove(container: Container, volumes: boolean): Promise<void> {
    const { record, state } = container;
    const { id } = record.spec;
    this.restarts.cancel(id);
    removeContainer(this.context.store, await hold(this.context.store, container), volumes);
    this.removed(container, {
      exitCode: state.status === "exited" ? state.exitCode : 0,
      error: undefined,
    });
  }

  /** Watches a container that runs although this daemon has not started it: ddcli may have. */
  attend(container: Container): void {
    const { id } = container.record.spec;
    if (container.state.status !== "running") return;
    if (!this.follows(id)) this.watch(container);
  }

  /** Whether this daemon will learn of the container's end, or is just starting it. */
  follows(id: string): boolean {
    return this.watched.has(id) || this.launching.has(id);
  }

  /** Tells of a container that somebody else has started, and follows it. */
  found(container: Container): void {
    const { record } = container;
    containerNetworkEvents(this.context, "connect", record);
    this.context.events.emit("container", "start", record.spec.id, attributesOf(record));
    this.watch(container);
  }

  private async launch(id: string, restartCount: number): Promise<void> {
    this.launching.add(id);
    try {
      await this.launchNow(id, restartCount);
    } finally {
      this.launching.delete(id);
    }
  }

  private async launchNow(id: string, restartCount: number): Promise<void> {
    const { context } = this;
    const container = context.store.read(id);
    if (container === undefined) throw new ApiError("NO_SUCH_CONTAINER", id);
    const { record } = container;
    try {
      requireShared(record, context.store);
    } catch (error) {
      for (const client of this.early.get(id) ?? []) client.release();
      this.early.delete(id);
      if (record.autoRemove) await this.remove(container, true);
      throw error;
    }
    const clients = [...(this.early.get(id) ?? [])];
    this.early.delete(id);
    const size = this.sizes.get(id);
    const background = this.reserve.take();
    try {
      await untilFree(context.store, id);
      await background.start(id, {
        size,
        clients: clients.map(({ choice }) => choice),
        descriptors: clients.flatMap(({ descriptors }) => descriptors),
        restartCount,
      });
    } catch (error) {
      if (record.autoRemove) this.removed(container, { exitCode: 125, error: undefined });
      const argv = record.process.argv.map(toText);
      throw startRefusal(error, argv, toText(record.process.cwd));
    } finally {
      for (const client of clients) client.release();
    }
    containerNetworkEvents(context, "connect", record);
    volumeEvents(context, "mount", record);
    this.reserve.prepareLater();
    context.events.emit("container", "start", id, attributesOf(record));
    const state = { status: "running", pid: 0, startedAt: Date.now(), logged: true } as const;
    this.watch({ record, state }, background);
  }

  /**
   * Follows a running container until its end.
   * @param background the process it runs in, when this daemon has started it.
   */
  private watch(container: Container, background?: BackgroundProcess): void {
    const { id } = container.record.spec;
    const failed = (error: unknown) =>
      this.context.log("error", `the watch on ${id} failed: ${(error as Error).message}`);
    let client: ControlClient | undefined;
    try {
      client = ask(this.context.store, container, { op: "watch" });
    } catch (error) {
      if (!(error instanceof ContainerError)) throw error;
    }
    if (client === undefined) {
      // It ended between its start and the question.
      this.afterwards(container, background).catch(failed);
      return;
    }
    this.watched.set(id, client);
    this.follow(id, container, client, background).catch(failed);
  }

  private async afterwards(container: Container, background?: BackgroundProcess): Promise<void> {
    const status = await background?.exited;
    await untilFree(this.context.store, container.record.spec.id);
    this.settle(container, status);
  }

  private async follow(
    id: string,
    container: Container,
    client: ControlClient,
    background?: BackgroundProcess,
  ): Promise<void> {
    let reply = await client.next();
    while (reply?.kind === "health") {
      const { record } = container;
      const action = `health_status: ${reply.status}`;
      this.context.events.emit("container", action, id, attributesOf(record));
      reply = await client.next();
    }
    if (this.closed) return;
    client.close();
    if (reply?.kind !== "exited") {
      // Without a farewell it was killed, or had ended already: then its lock goes with it.
      await this.afterwards(container, background);
      return;
    }
    background?.dismiss();
    this.settle(container, reply.status);
  }

  /** A run has ended. */
  private settle(before: Container, status: ExitStatus | undefined): void {
    const { id } = before.record.spec;
    // Not before: who asked meanwhile would have it watched, and settled, a second time.
    this.watched.delete(id);
    const after = this.context.store.read(id);
    const container = after ?? before;
    const { record } = container;
    const state = after?.state;
    const exitCode = status?.code ?? (state?.status === "exited" ? state.exitCode : 137);
    const error = state?.status === "exited" ? state.error : undefined;
    const { events } = this.context;
    const startedAt = before.state.status === "running" ? before.state.startedAt : Date.now();
    if (status?.oomKilled === true) events.emit("container", "oom", id, attributesOf(record));
    events.emit("container", "die", id, {
      ...attributesOf(record),
      exitCode: String(exitCode),
      execDuration: String(Math.floor((Date.now() - startedAt) / 1000)),
    });
    if (after !== undefined) containerNetworkEvents(this.context, "disconnect", record);
    volumeEvents(this.context, "unmount", record);
    const ended = { exitCode, error };
    // Before anybody learns of the end: a container about to run again is not to be removed as an ended one.
    if (after !== undefined) this.restarts.afterExit(id, record.restart, state, startedAt);
    notify(this.waiters, id, ended);
    this.reserve.prepare();
    if (after === undefined) this.removed(container, ended);
  }

  private removed({ record }: Container, ended: Ended): void {
    const { id } = record.spec;
    for (const client of this.early.get(id) ?? []) client.release();
    this.early.delete(id);
    this.sizes.delete(id);
    this.restarts.cancel(id);
    this.context.events.emit("container", "destroy", id, attributesOf(record));
    notify(this.waiters, id, ended);
    notify(this.removals, id, ended);
  }
}

function restartCountOf(state: ContainerState): number {
  return state.status === "created" ? 0 : (state.restartCount ?? 0);
}

function register(
  waiters: Map<string, Set<Waiter>>,
  id: string,
  gone: AbortSignal | undefined,
): Promise<Ended> {
  return new Promise((resolve) => {
    const all = waiters.get(id) ?? new Set();
    waiters.set(id, all.add(resolve));
    gone?.addEventListener("abort", () => {
      all.delete(resolve);
      if (all.size === 0 && waiters.get(id) === all) waiters.delete(id);
    });
  });
}

function notify(waiters: Map<string, Set<Waiter>>, id: string, ended: Ended): void {
  const all = waiters.get(id);
  waiters.delete(id);
  for (const waiter of all ?? []) waiter(ended);
}

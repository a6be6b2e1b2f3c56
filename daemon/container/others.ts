import { existsSync, type FSWatcher, watch } from "node:fs";
import type { DaemonContext } from "../context.ts";
import type { PastEvent } from "../events.ts";
import { attributesOf } from "./attributes.ts";
import type { Supervisor } from "./supervisor.ts";

type Attributes = Readonly<Record<string, string>>;

/**
 * Tells what others, ddcli above all, do with containers of the same store: that one was made, started or
 * removed. The host tells of changes in the store's directories; what differs from what has been told is news.
 * A container that comes and goes faster than that is not told of.
 */
export class Others {
  private readonly context: DaemonContext;
  private readonly supervisor: Pick<Supervisor, "follows" | "found">;
  /** What events have said there is, by id. */
  private readonly told = new Map<string, Attributes>();
  /** Directories of containers that are being started. */
  private readonly starting = new Map<string, FSWatcher>();
  private readonly watchers: readonly FSWatcher[];
  private readonly unsubscribe: () => void;

  constructor(context: DaemonContext, supervisor: Pick<Supervisor, "follows" | "found">) {
    this.context = context;
    this.supervisor = supervisor;
    this.unsubscribe = context.events.subscribe((event) => this.hear(event));
    const { store, directories } = context;
    for (const { record } of store.list()) this.told.set(record.spec.id, attributesOf(record));
    const watched = [
      this.watch(store.containersDirectory, (name) => this.lookAtContainer(name)),
      this.watch(directories.run, (name) => this.lookAtRun(name)),
    ];
    this.watchers = watched.filter((watcher) => watcher !== undefined);
  }

  close(): void {
    this.unsubscribe();
    for (const watcher of this.watchers) watcher.close();
    for (const watcher of this.starting.values()) watcher.close();
  }

  private hear({ type, action, id, attributes }: PastEvent): void {
    if (type !== "container") return;
    if (action === "create" || action === "rename") this.told.set(id, attributes);
    else if (action === "destroy") this.told.delete(id);
  }

  /** Without the host's word (it watches so much and no more) only what others do is not told. */
  private watch(directory: string, look: (name: string) => void): FSWatcher | undefined {
    const failed = (error: Error) =>
      this.context.log("warn", `${directory} cannot be watched: ${error.message}`);
    try {
      const watcher = watch(directory, { persistent: false }, (_type, name) => {
        if (name !== null) look(name);
      });
      watcher.on("error", failed);
      return watcher;
    } catch (error) {
      failed(error as Error);
      return undefined;
    }
  }

  private lookAtContainer(name: string): void {
    const { store, events } = this.context;
    if (!store.isId(name) || this.supervisor.follows(name)) return;
    const before = this.told.get(name);
    const now = store.read(name)?.record;
    if (now === undefined) {
      if (before !== undefined) events.emit("container", "destroy", name, before);
    } else if (before === undefined && now.engine === undefined) {
      // What a client of the engine makes is told where it is made.
      events.emit("container", "create", name, attributesOf(now));
    }
  }

  private lookAtRun(name: string): void {
    const { store } = this.context;
    const id = [...this.told.keys()].find((each) => store.isRunNameOf(name, each));
    if (id === undefined || this.starting.has(id) || this.supervisor.follows(id)) return;
    if (!existsSync(store.runDirectoryOf(id))) return;
    const since = Date.now();
    const watcher = this.watch(store.directoryOf(id), () => this.lookAtStart(id, since));
    if (watcher === undefined) return;
    this.starting.set(id, watcher);
    this.lookAtStart(id, since);
  }

  /** @param since when its start was noticed, in milliseconds since the epoch. */
  private lookAtStart(id: string, since: number): void {
    const container = this.context.store.read(id);
    const state = container?.state;
    const hasEnded = state?.status === "exited" && state.finishedAt >= since;
    if (container !== undefined && state?.status !== "running" && !hasEnded) return;
    this.starting.get(id)?.close();
    this.starting.delete(id);
    if (container === undefined || this.supervisor.follows(id)) return;
    // Without a start its program could not be run.
    if (state?.status !== "created" && state?.startedAt !== 0) this.supervisor.found(container);
  }
}

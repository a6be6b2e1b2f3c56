import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { RecordLock } from "../host/record-lock.ts";
import type { Directories } from "./directories.ts";
import { ContainerError } from "./errors.ts";
import { HEALTH_FILE, type Health } from "./health.ts";
import { readJson, writeJson } from "./json-file.ts";
import { checkName, randomName } from "./names.ts";
import type { Container, ContainerRecord, ContainerState } from "./record.ts";

const ID = /^[0-9a-f]{64}$/;
const ID_PREFIX = /^[0-9a-f]{1,64}$/;
/** Directories being made or removed; whoever finds an old one that nobody holds removes it. */
const UNFINISHED = ".unfinished-";
const UNFINISHED_AGE_MS = 60_000;
/** Of the id, in paths of the run directory: socket paths have at most 107 bytes. */
const RUN_NAME_LENGTH = 16;
/** Exit code of a container whose sentry was killed, as if its processes had been. */
const KILLED_EXIT_CODE = 137;
const RANDOM_NAMES_MAX = 100;

/**
 * The containers of one state directory, shared by every ddcli and sentry of the user without a daemon.
 *
 * One directory per container: `container.json`, `state.json`, `lock`, `upper/`, its log. Rules that keep
 * any number of processes, killed at any point, from hurting each other:
 *
 * - who holds a container's lock, and nobody else, changes its state or removes it; the sentry holds it for
 *   as long as the container runs, so "running" without a holder means that the sentry was killed;
 * - a directory appears complete, and disappears at once, by rename;
 * - names are files; they change under the store's lock, held for a few milliseconds, never longer.
 */
export class ContainerStore {
  readonly directories: Directories;
  /** Has a directory for each container, named by its id, and others. */
  readonly containersDirectory: string;
  private readonly names: string;

  /** Makes the directories where they are missing. */
  constructor(directories: Directories) {
    this.directories = directories;
    this.containersDirectory = join(directories.root, "containers");
    this.names = join(directories.root, "names");
    mkdirSync(this.containersDirectory, { recursive: true, mode: 0o700 });
    mkdirSync(this.names, { recursive: true, mode: 0o700 });
  }

  /** Directory of a container's files. */
  directoryOf(id: string): string {
    return join(this.containersDirectory, id);
  }

  /** Directory of a running container's sockets. Exists only while it runs. */
  runDirectoryOf(id: string): string {
    return join(this.directories.run, id.slice(0, RUN_NAME_LENGTH));
  }

  /** Whether `name` is that of the container's directory in the run directory. */
  isRunNameOf(name: string, id: string): boolean {
    return name.length === RUN_NAME_LENGTH && id.startsWith(name);
  }

  /** Whether `name` could be a container's id: 64 hexadecimal digits. */
  isId(name: string): boolean {
    return ID.test(name);
  }

  /**
   * Makes a container, held by the caller.
   * @param name the user's choice, or undefined for a random one.
   * @param make what to keep, given the name.
   * @throws {ContainerError} `NAME_IN_USE`, `INVALID_NAME`.
   */
  create(
    id: string,
    name: string | undefined,
    make: (name: string) => ContainerRecord,
  ): HeldContainer {
    if (name !== undefined) checkName("container", name);
    const directory = join(this.containersDirectory, `${UNFINISHED}${id}`);
    mkdirSync(join(directory, "upper"), { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, "lock"), "", { mode: 0o600 });
    const lock = RecordLock.tryAcquire(join(directory, "lock"));
    if (lock === undefined) throw new Error(`The lock of the new container ${id} is taken`);
    try {
      const record = this.underLock(() => {
        const free = this.freeName(name);
        const made = make(free);
        writeJson(join(directory, "container.json"), made);
        writeJson(join(directory, "state.json"), { status: "created" } satisfies ContainerState);
        writeFileSync(join(this.names, free), id, { mode: 0o600 });
        renameSync(directory, this.directoryOf(id));
        return made;
      });
      return new HeldContainer(this, record, { status: "created" }, lock);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      lock.release();
      throw error;
    }
  }

  /** All containers, the newest first, with true states: those of killed sentries are repaired. */
  list(): readonly Container[] {
    const found: Container[] = [];
    for (const entry of readdirSync(this.containersDirectory)) {
      if (ID.test(entry)) {
        const container = this.read(entry);
        if (container !== undefined) found.push(container);
      } else if (entry.startsWith(UNFINISHED)) {
        this.sweep(entry);
      }
    }
    return found.sort((a, b) => b.record.createdAt - a.record.createdAt);
  }

  /**
   * The container with that name, id, or beginning of an id.
   * @throws {ContainerError} `NO_SUCH_CONTAINER`, `AMBIGUOUS_ID`.
   */
  find(reference: string): Container {
    const container = this.read(this.resolve(reference));
    if (container === undefined) throw noSuchContainer(reference);
    return container;
  }

  /** The container `id` as it is now, or undefined when there is none. */
  read(id: string): Container | undefined {
    const record = readJson<ContainerRecord>(join(this.directoryOf(id), "container.json"));
    if (record === undefined) return undefined;
    const state = this.stateOf(id);
    if (state.status !== "running" || this.isHeld(id)) return { record, state };
    const held = this.tryHold(id);
    if (held === undefined) return this.read(id);
    // Taking hold has repaired it.
    if (record.autoRemove) {
      held.remove();
      return undefined;
    }
    held.release();
    return { record, state: held.state };
  }

  /**
   * Takes the container's lock, so that the caller may start, change or remove it.
   * @returns undefined when somebody has it: it runs, or is being started or removed.
   * @throws {ContainerError} `NO_SUCH_CONTAINER`.
   */
  tryHold(id: string): HeldContainer | undefined {
    const directory = this.directoryOf(id);
    let lock: RecordLock | undefined;
    try {
      lock = RecordLock.tryAcquire(join(directory, "lock"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw noSuchContainer(id);
      throw error;
    }
    if (lock === undefined) return undefined;
    const record = readJson<ContainerRecord>(join(directory, "container.json"));
    if (record === undefined) {
      lock.release();
      throw noSuchContainer(id);
    }
    const held = new HeldContainer(this, record, this.stateOf(id), lock);
    if (held.state.status === "running") {
      held.setState({
        status: "exited",
        startedAt: held.state.startedAt,
        finishedAt: Date.now(),
        exitCode: KILLED_EXIT_CODE,
        error: "Its sentry was killed",
      });
      rmSync(this.runDirectoryOf(id), { recursive: true, force: true });
    }
    return held;
  }

  /** What its health checks have said last; undefined when it has none, or has never run. */
  health(id: string): Health | undefined {
    return readJson<Health>(join(this.directoryOf(id), HEALTH_FILE));
  }

  /** Whether somebody holds the container: for a container in state "running", whether it runs. */
  isHeld(id: string): boolean {
    try {
      return RecordLock.holder(join(this.directoryOf(id), "lock")) !== undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /**
   * Gives a held container another name.
   * @throws {ContainerError} `INVALID_NAME`, `NAME_IN_USE`; then it keeps the one it has.
   */
  rename(held: HeldContainer, name: string): void {
    checkName("container", name);
    const { name: old } = held.record;
    if (name === old) {
      throw new ContainerError(
        "NAME_IN_USE",
        "Renaming a container with the same name as its current name",
      );
    }
    this.underLock(() => {
      writeFileSync(join(this.names, this.freeName(name)), held.id, { mode: 0o600 });
      held.setRecord({ ...held.record, name });
      if (this.idOfName(old) === held.id) unlinkSync(join(this.names, old));
    });
  }

  /** Takes the container away from everybody's sight. Called by its holder. @returns frees its space. */
  hideDirectory(record: ContainerRecord): () => void {
    const { id } = record.spec;
    const unfinished = join(this.containersDirectory, `${UNFINISHED}${id}`);
    this.underLock(() => {
      renameSync(this.directoryOf(id), unfinished);
      if (this.idOfName(record.name) === id) unlinkSync(join(this.names, record.name));
    });
    return () => {
      rmSync(this.runDirectoryOf(id), { recursive: true, force: true });
      rmSync(unfinished, { recursive: true, force: true });
    };
  }

  private stateOf(id: string): ContainerState {
    return (
      readJson<ContainerState>(join(this.directoryOf(id), "state.json")) ?? {
        status: "exited",
        startedAt: 0,
        finishedAt: 0,
        exitCode: KILLED_EXIT_CODE,
        error: "Its state file is damaged",
      }
    );
  }

  private resolve(reference: string): string {
    const named = this.idOfName(reference);
    if (named !== undefined) return named;
    if (!ID_PREFIX.test(reference)) throw noSuchContainer(reference);
    const ids = readdirSync(this.containersDirectory).filter(
      (entry) => ID.test(entry) && entry.startsWith(reference),
    );
    if (ids.length > 1) {
      throw new ContainerError(
        "AMBIGUOUS_ID",
        `Several containers have ids that begin with ${reference}`,
        'Give more digits: see "ddcli ps -a --no-trunc"',
      );
    }
    const id = ids[0];
    if (id === undefined) throw noSuchContainer(reference);
    return id;
  }

  private idOfName(name: string): string | undefined {
    try {
      checkName("container", name);
      const id = readFileSync(join(this.names, name), "utf8");
      return ID.test(id) ? id : undefined;
    } catch {
      return undefined;
    }
  }

  /** A name that no container has. A name file whose container is gone was left by a crash. */
  private freeName(wanted: string | undefined): string {
    const holder = (name: string) => {
      const id = this.idOfName(name);
      return id !== undefined &&
        readJson(join(this.directoryOf(id), "container.json")) !== undefined
        ? id
        : undefined;
    };
    if (wanted !== undefined) {
      const id = holder(wanted);
      if (id === undefined) return wanted;
      throw new ContainerError(
        "NAME_IN_USE",
        `Conflict. The container name "/${wanted}" is already in use by container "${id}". You have to ` +
          "remove (or rename) that container to be able to reuse that name.",
        `Remove that one ("ddcli rm ${wanted}") or choose another name`,
      );
    }
    for (let i = 0; i < RANDOM_NAMES_MAX; i++) {
      const name = randomName(i > 0);
      if (holder(name) === undefined) return name;
    }
    throw new ContainerError(
      "NAME_IN_USE",
      "No free random name was found",
      "Give one with --name",
    );
  }

  private sweep(entry: string): void {
    const directory = join(this.containersDirectory, entry);
    try {
      // A young one may be about to be locked by its maker.
      if (Date.now() - statSync(directory).ctimeMs < UNFINISHED_AGE_MS) return;
      const lock = RecordLock.tryAcquire(join(directory, "lock"));
      if (lock === undefined) return;
      rmSync(directory, { recursive: true, force: true });
      lock.release();
    } catch (error) {
      // Its remover was faster.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  private underLock<T>(section: () => T): T {
    const path = join(this.directories.root, "containers.lock");
    writeFileSync(path, "", { flag: "a", mode: 0o600 });
    const lock = RecordLock.acquire(path);
    try {
      return section();
    } finally {
      lock.release();
    }
  }
}

/** A container whose lock this process has. */
export class HeldContainer {
  private kept: ContainerRecord;
  private readonly store: ContainerStore;
  private readonly lock: RecordLock;
  private current: ContainerState;

  constructor(
    store: ContainerStore,
    record: ContainerRecord,
    state: ContainerState,
    lock: RecordLock,
  ) {
    this.store = store;
    this.kept = record;
    this.current = state;
    this.lock = lock;
  }

  get record(): ContainerRecord {
    return this.kept;
  }

  setRecord(record: ContainerRecord): void {
    writeJson(join(this.directory, "container.json"), record);
    this.kept = record;
  }

  get id(): string {
    return this.record.spec.id;
  }

  get directory(): string {
    return this.store.directoryOf(this.id);
  }

  get runDirectory(): string {
    return this.store.runDirectoryOf(this.id);
  }

  get state(): ContainerState {
    return this.current;
  }

  setState(state: ContainerState): void {
    writeJson(join(this.directory, "state.json"), state);
    this.current = state;
  }

  /** Removes the container with everything it wrote, and lets go. */
  remove(): void {
    this.disappear()();
  }

  /** Removes the container for everybody. @returns removes what it wrote, and lets go; to be called soon. */
  disappear(): () => void {
    const freeSpace = this.store.hideDirectory(this.record);
    return () => {
      freeSpace();
      this.lock.release();
    };
  }

  release(): void {
    this.lock.release();
  }
}

function noSuchContainer(reference: string): ContainerError {
  return new ContainerError(
    "NO_SUCH_CONTAINER",
    `No such container: ${reference}`,
    'See "ddcli ps -a" for those there are',
  );
}

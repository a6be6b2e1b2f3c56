import { existsSync } from "node:fs";
import { join } from "node:path";
import type {
  AttachChoice,
  ContainersEngine,
  CreateChoice,
  ListChoice,
  LogChoice,
  LogPiece,
  WaitCondition,
} from "../api/engine/containers.ts";
import type { ConsoleSize } from "../api/engine/execs.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { ApiError } from "../api/errors.ts";
import type { Filters } from "../api/filters.ts";
import type { UpdateBody } from "../api/routes/container-bodies.ts";
import type { ProcessStreams } from "../api/row.ts";
import { parseMoment } from "../api/time.ts";
import { SIGKILL } from "../sentry/abi/signal.ts";
import { ask, askOnce } from "../sentry/container/ask.ts";
import type { Request } from "../sentry/container/control-protocol.ts";
import { writtenBytes } from "../sentry/container/disk-usage.ts";
import type { Container } from "../sentry/container/record.ts";
import { HOST_IMAGE } from "../sentry/container/run-image.ts";
import { LOG_FILE } from "../sentry/container/streams.ts";
import { attachTo } from "./container/attach.ts";
import { attributesOf } from "./container/attributes.ts";
import { removeLink, rename, setPaused, update } from "./container/changes.ts";
import { createContainer, signalOf } from "./container/create.ts";
import { familyOf, imageNames } from "./container/image-names.ts";
import { describeContainer } from "./container/inspect.ts";
import { aliasesOf, type Listed, selectContainers, summarize } from "./container/list.ts";
import { firstWordsMs, readPieces } from "./container/logs.ts";
import { samples } from "./container/stats.ts";
import { statusWord } from "./container/status.ts";
import type { Supervisor } from "./container/supervisor.ts";
import { describeProcesses } from "./container/top.ts";
import type { DaemonContext } from "./context.ts";
import { refusingImages } from "./images/image-refusals.ts";
import { describeNetworks } from "./networks/describe.ts";
import { refusing } from "./refusals.ts";

/** "-1" waits for ever: as long as a timer can. */
const FOREVER_MS = 2 ** 31 - 1;

/** An answer to SIGKILL waits so long for the end, as docker's does. */
const KILLED_WITHIN_MS = 10_000;

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));

/** The containers of the store, for the API. */
export class Containers implements ContainersEngine {
  private readonly context: DaemonContext;
  private readonly supervisor: Supervisor;
  private readonly execIdsOf: (id: string) => readonly string[];

  constructor(
    context: DaemonContext,
    supervisor: Supervisor,
    execIdsOf: (id: string) => readonly string[],
  ) {
    this.context = context;
    this.supervisor = supervisor;
    this.execIdsOf = execIdsOf;
  }

  /** @throws {ApiError} `NO_SUCH_CONTAINER`. */
  find(reference: string): Container {
    return refusing(reference, () => this.context.store.find(reference.replace(/^\//, "")));
  }

  async list({ size, annotations, ...choice }: ListChoice): Promise<readonly JsonObject[]> {
    const { images } = this.context;
    const all = this.listed();
    const families = new Map<string, ReadonlySet<string> | undefined>();
    for (const name of choice.filters.get("ancestor")) {
      families.set(name, await refusingImages(() => familyOf(images, name)));
    }
    const shown = selectContainers(all, choice, families);
    const nameOf = imageNames(images);
    return Promise.all(
      shown.map(async (each) => {
        const { record } = each.container;
        const image = await nameOf(record.imageName, record.spec.rootfs.image);
        return {
          ...summarize(each, { image, aliases: aliasesOf(each, all), annotations }),
          ...(size ? await this.sizesOf(each.container) : {}),
        };
      }),
    );
  }

  /** All of them as the list shows them, with what they take on the disk. */
  withSizes(shown: readonly Listed[] = this.listed()): Promise<readonly JsonObject[]> {
    return Promise.all(
      shown.map(async (each) => ({
        ...summarize(each),
        ...(await this.sizesOf(each.container)),
      })),
    );
  }

  private async sizesOf({ record }: Container): Promise<JsonObject> {
    const { store, images } = this.context;
    const SizeRw = writtenBytes(store, record.spec.id);
    const { image } = record.spec.rootfs;
    const below = image === HOST_IMAGE ? 0 : ((await images.find(image))?.size ?? 0);
    return { SizeRw, SizeRootFs: SizeRw + below };
  }

  listed(): readonly Listed[] {
    return this.context.store.list().map((container) => ({
      container,
      status: statusWord(container.state, this.supervisor.isRestarting(container.record.spec.id)),
      health: this.healthOf(container),
      network: describeNetworks(this.context, container),
    }));
  }

  private healthOf({ record, state }: Container): Listed["health"] {
    if (record.health === undefined || state.status !== "running") return "";
    return this.context.store.health(record.spec.id)?.status ?? "starting";
  }

  async create(choice: CreateChoice): Promise<{ Id: string; Warnings: string[] }> {
    const { record, warnings } = await refusing(choice.name ?? "", () =>
      createContainer(this.context, choice),
    );
    const { id } = record.spec;
    const [h, w] = choice.body.HostConfig?.ConsoleSize ?? [];
    if (record.tty && h && w) this.supervisor.setEarlySize(id, { rows: h, cols: w });
    this.supervisor.expectStart();
    this.context.events.emit("container", "create", id, attributesOf(record));
    return { Id: id, Warnings: warnings };
  }

  async inspect(reference: string, size: boolean): Promise<JsonObject> {
    const container = this.find(reference);
    const { id } = container.record.spec;
    const described = describeContainer(this.context, container, {
      status: statusWord(container.state, this.supervisor.isRestarting(id)),
      execIds: this.execIdsOf(id),
      health: this.context.store.health(id),
    });
    return size ? { ...described, ...(await this.sizesOf(container)) } : described;
  }

  start(reference: string): Promise<boolean> {
    const { id } = this.find(reference).record.spec;
    return this.supervisor.inTurn(id, async () => {
      const { state } = this.find(id);
      if (state.status === "running" && state.paused === true) throw new ApiError("START_PAUSED");
      if (state.status === "running") return false;
      await this.supervisor.start(id);
      return true;
    });
  }

  stop(
    reference: string,
    signal: string | undefined,
    timeoutSeconds: number | undefined,
  ): Promise<boolean> {
    return this.halt(reference, signal, timeoutSeconds, false);
  }

  /** @param keep it is to run again: with --rm, too, it stays. */
  private halt(
    reference: string,
    signal: string | undefined,
    timeoutSeconds: number | undefined,
    keep: boolean,
  ): Promise<boolean> {
    const container = this.find(reference);
    const { record } = container;
    const { id } = record.spec;
    const signo = signal === undefined ? record.stopSignal : signalOf(signal);
    const seconds = timeoutSeconds ?? record.stopTimeoutSeconds;
    return refusing(id, async () => {
      const ran = await this.supervisor.stop(
        container,
        signo,
        seconds < 0 ? FOREVER_MS : Math.min(seconds * 1000, FOREVER_MS),
        keep,
      );
      if (ran) this.context.events.emit("container", "stop", id, attributesOf(record));
      return ran;
    });
  }

  async restart(
    reference: string,
    signal: string | undefined,
    timeoutSeconds: number | undefined,
  ): Promise<void> {
    const { record } = this.find(reference);
    const { id } = record.spec;
    await this.halt(id, signal, timeoutSeconds, true);
    await this.start(id);
    this.context.events.emit("container", "restart", id, attributesOf(record));
  }

  async kill(reference: string, signal: string | undefined): Promise<void> {
    const container = this.find(reference);
    const { record, state } = container;
    const { id } = record.spec;
    const signo = signal === undefined ? SIGKILL : signalOf(signal);
    if (state.status !== "running") {
      if (this.supervisor.cancelRestart(id)) return;
      throw new ApiError("CANNOT_KILL", reference, `container ${id} is not running`);
    }
    const final = signo === SIGKILL || signo === record.stopSignal;
    this.supervisor.attend(container);
    const patience = AbortSignal.timeout(KILLED_WITHIN_MS);
    const ended = signo === SIGKILL ? this.supervisor.nextExit(id, patience) : undefined;
    await this.tell(container, { op: "kill", signo, final });
    this.context.events.emit("container", "kill", id, {
      ...attributesOf(record),
      signal: String(signo),
    });
    // Nothing survives it, so that clients take the container for ended when they have the answer.
    if (ended !== undefined) await Promise.race([ended, aborted(patience)]);
  }

  async pause(reference: string): Promise<void> {
    await setPaused(this.context, this.find(reference), true);
  }

  async unpause(reference: string): Promise<void> {
    await setPaused(this.context, this.find(reference), false);
  }

  rename(reference: string, name: string): Promise<void> {
    const { id } = this.find(reference).record.spec;
    return this.supervisor.inTurn(id, () => rename(this.context, this.find(id), name));
  }

  update(reference: string, body: UpdateBody): Promise<JsonObject> {
    const { id } = this.find(reference).record.spec;
    return this.supervisor.inTurn(id, () => update(this.context, this.find(id), body));
  }

  remove(
    reference: string,
    { force, volumes, link }: { force: boolean; volumes: boolean; link: boolean },
  ): Promise<void> {
    if (link) return this.removeLink(reference);
    const { id } = this.find(reference).record.spec;
    return this.supervisor.inTurn(id, () =>
      refusing(reference, async () => {
        let container = this.context.store.read(id);
        if (container?.state.status === "running") {
          if (!force) {
            const { paused } = container.state;
            throw new ApiError(
              paused === true ? "CANNOT_REMOVE_PAUSED" : "CANNOT_REMOVE_RUNNING",
              container.record.name,
            );
          }
          await this.supervisor.stop(container, SIGKILL, 0);
          container = this.context.store.read(id);
        } else if (!force && container !== undefined && this.supervisor.isRestarting(id)) {
          throw new ApiError("CANNOT_REMOVE_RESTARTING", container.record.name);
        }
        // With --rm it has removed itself as it ended.
        if (container !== undefined) await this.supervisor.remove(container, volumes);
      }),
    );
  }

  private async removeLink(reference: string): Promise<void> {
    const [owner = "", alias = ""] = reference.replace(/^\//, "").split("/");
    if (alias === "") {
      this.find(owner);
      throw new ApiError(
        "CONFLICT",
        "Conflict, cannot remove the default link name of the container",
      );
    }
    const { id } = this.find(owner).record.spec;
    await this.supervisor.inTurn(id, async () => removeLink(this.context, this.find(id), alias));
  }

  async prune(filters: Filters): Promise<JsonObject> {
    const deleted: string[] = [];
    let SpaceReclaimed = 0;
    const before = filters.get("until").map((text) => parseMoment("until", text));
    for (const { container, status } of this.listed()) {
      const { record } = container;
      const { id } = record.spec;
      if (status === "running" || status === "paused" || status === "restarting") continue;
      if (!filters.matchesLabels(record.labels)) continue;
      if (!before.every((time) => record.createdAt < time)) continue;
      const bytes = writtenBytes(this.context.store, id);
      try {
        await this.remove(id, { force: false, volumes: false, link: false });
      } catch (error) {
        // Somebody else was faster, or has started it.
        if (error instanceof ApiError) continue;
        throw error;
      }
      deleted.push(id);
      SpaceReclaimed += bytes;
    }
    this.context.events.emit("container", "prune", "", { reclaimed: String(SpaceReclaimed) });
    return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed };
  }

  async wait(
    reference: string,
    condition: WaitCondition,
    gone: AbortSignal,
  ): Promise<{ ended: Promise<JsonObject> }> {
    const container = this.find(reference);
    const { record, state } = container;
    const { id } = record.spec;
    this.supervisor.attend(container);
    if (condition === "not-running" && state.status !== "running") {
      const StatusCode = state.status === "exited" ? state.exitCode : 0;
      return { ended: Promise.resolve({ StatusCode }) };
    }
    const ended =
      condition === "removed"
        ? this.supervisor.nextRemoval(id, gone)
        : this.supervisor.nextExit(id, gone);
    return {
      ended: ended.then(({ exitCode, error }) => ({
        StatusCode: exitCode,
        ...(error === undefined ? {} : { Error: { Message: error } }),
      })),
    };
  }

  async resize(reference: string, size: ConsoleSize): Promise<void> {
    const container = this.find(reference);
    const { id } = container.record.spec;
    if (container.state.status !== "running") throw new ApiError("NOT_RUNNING", id);
    const client = refusing(id, () =>
      ask(this.context.store, container, { op: "resize", ...size }),
    );
    // It is not answered; the question after it is, once it has been carried out.
    client.send({ op: "confinement" });
    await client.next();
    client.close();
    this.context.events.emit("container", "resize", id, {
      ...attributesOf(container.record),
      height: String(size.rows),
      width: String(size.cols),
    });
  }

  async top(reference: string, psArgs: string): Promise<JsonObject> {
    const container = this.find(reference);
    const { id } = container.record.spec;
    if (container.state.status !== "running") throw new ApiError("NOT_RUNNING", id);
    const { processes } = await refusing(id, () =>
      askOnce(this.context.store, container, { op: "top" }, "top"),
    );
    this.context.events.emit("container", "top", id, attributesOf(container.record));
    return describeProcesses(processes, psArgs);
  }

  async stats(
    reference: string,
    choice: { readonly stream: boolean; readonly oneShot: boolean },
    gone: AbortSignal,
  ): Promise<AsyncIterable<JsonObject>> {
    return samples(this.context, this.find(reference), choice, gone);
  }

  async attach(
    reference: string,
    choice: AttachChoice,
  ): Promise<{ tty: boolean; begin(): Promise<ProcessStreams> }> {
    const container = this.find(reference);
    const { record, state } = container;
    const { id } = record.spec;
    if (this.supervisor.isRestarting(id)) throw new ApiError("IS_RESTARTING", id);
    if (state.status === "running" && state.paused === true)
      throw new ApiError("ATTACH_PAUSED", id);
    const join = () =>
      refusing(id, () => attachTo(this.context, this.supervisor, container, choice));
    if (state.status === "running") return { tty: record.tty, begin: join };
    // Before the client is told: it starts the container when it has been.
    const joined = await join();
    return { tty: record.tty, begin: async () => joined };
  }

  async logs(
    reference: string,
    choice: LogChoice,
    gone: AbortSignal,
  ): Promise<{ tty: boolean; pieces: AsyncIterable<LogPiece> }> {
    const container = this.find(reference);
    const { record, state } = container;
    const { id } = record.spec;
    this.supervisor.attend(container);
    const path = join(this.context.store.directoryOf(id), LOG_FILE);
    const runs = state.status === "running";
    if (record.log?.driver === "none") throw new ApiError("LOG_UNREADABLE");
    if (runs && !state.logged && !existsSync(path)) {
      throw new ApiError(
        "NOT_IMPLEMENTED",
        "reading the output of a container that runs in the foreground of another terminal",
      );
    }
    const patience = choice.follow ? undefined : firstWordsMs(runs ? state.startedAt : 0);
    const end =
      runs && patience !== 0
        ? {
            ended: this.supervisor.nextExit(id, gone),
            ...(patience === undefined ? {} : { firstWordsMs: patience }),
          }
        : undefined;
    return { tty: record.tty, pieces: readPieces(path, choice, end, gone) };
  }

  private async tell(container: Container, request: Request): Promise<void> {
    const { id } = container.record.spec;
    await refusing(id, () => askOnce(this.context.store, container, request, "done"));
  }
}

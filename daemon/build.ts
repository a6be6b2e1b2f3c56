import type { Duplex } from "node:stream";
import type { BuildChoice, BuildEngine } from "../api/engine/build.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { ApiError } from "../api/errors.ts";
import type { Filters } from "../api/filters.ts";
import { BuildkitEngine } from "../builder/buildkit/engine.ts";
import { statusBytes } from "../builder/buildkit/status-messages.ts";
import { classicBuild } from "../builder/classic/classic-build.ts";
import { KnownSteps } from "../builder/classic/known-steps.ts";
import { ArchiveContext } from "../builder/context/archive.ts";
import { BuildError, type BuildErrorCode } from "../builder/errors.ts";
import type { CacheRecord } from "../builder/solve/step-cache.ts";
import { StepProcesses } from "../builder/step/step-processes.ts";
import { StoreImages } from "../builder/store-images.ts";
import { parseAuthConfig } from "../sentry/image/credentials.ts";
import type { StoredImage } from "../sentry/image/image-store.ts";
import { parsePlatform } from "../sentry/image/platform.ts";
import { limitsOf } from "./container/limits.ts";
import type { DaemonContext } from "./context.ts";
import { refusal } from "./refusals.ts";

/** Statuses of what is wrong with a build before it begins. */
const STATUSES: Readonly<Partial<Record<BuildErrorCode, "INVALID" | "INTERNAL">>> = {
  BUILD_NOT_FOUND: "INTERNAL",
  BUILD_CANCELED: "INTERNAL",
};

/** Builds, for the API. */
export class Builds implements BuildEngine {
  readonly #context: DaemonContext;
  readonly #buildkit: BuildkitEngine;
  readonly #steps: StepProcesses;
  /** Builds that can be cancelled by a name. */
  readonly #running = new Map<string, AbortController>();

  constructor(context: DaemonContext) {
    const { directories, images: store, defaultMode, buildStepProgram } = context;
    this.#context = context;
    this.#steps = new StepProcesses(buildStepProgram, directories, defaultMode);
    this.#buildkit = new BuildkitEngine({
      store,
      directories,
      steps: this.#steps,
      registries: context.registries,
      onImage: (image) => this.#made(image),
    });
  }

  async *build(choice: BuildChoice, gone: AbortSignal): AsyncIterable<JsonObject> {
    const stop = new AbortController();
    const cancel = () => stop.abort();
    gone.addEventListener("abort", cancel);
    if (choice.buildId !== "") this.#running.set(choice.buildId, stop);
    try {
      yield* choice.buildkit
        ? this.#byBuildkit(choice, stop.signal)
        : this.#byClassic(choice, stop.signal);
    } catch (error) {
      throw refusalOf(error);
    } finally {
      gone.removeEventListener("abort", cancel);
      this.#running.delete(choice.buildId);
    }
  }

  cancel(buildId: string): void {
    this.#running.get(buildId)?.abort();
  }

  async prune({
    all,
    keepBytes,
    filters,
  }: {
    readonly all: boolean;
    readonly keepBytes: number | undefined;
    readonly filters: Filters;
  }): Promise<JsonObject> {
    const [until] = filters.get("until");
    await KnownSteps.forget(this.#context.directories.root);
    const pruned = await this.#buildkit.cache.prune({
      all,
      ...(keepBytes === undefined ? {} : { keepBytes }),
      ...(until === undefined ? {} : { unusedSince: untilMs(until) }),
      matches: ({ id }) => filters.some("id", (each) => id.startsWith(each)),
    });
    const SpaceReclaimed = pruned.reduce((sum, { size, shared }) => sum + (shared ? 0 : size), 0);
    this.#context.events.emit("builder", "prune", "", { reclaimed: String(SpaceReclaimed) });
    return { CachesDeleted: pruned.map(({ id }) => id.slice(0, ID_LENGTH)), SpaceReclaimed };
  }

  async usage(): Promise<readonly JsonObject[]> {
    return (await this.#buildkit.cache.list()).map(describeRecord);
  }

  serve(connection: Duplex): void {
    this.#buildkit.serve(connection);
  }

  openSession(id: string, connection: Duplex): void {
    this.#buildkit.sessions.add(id, connection);
  }

  /** Ends all builds. */
  close(): void {
    for (const running of this.#running.values()) running.abort();
    this.#buildkit.close();
  }

  /** Who names images to take steps from, gets nothing from anywhere else: not even what is here. */
  async #mayUseCache(images: readonly string[]): Promise<boolean> {
    if (images.length === 0) return true;
    const found = await Promise.all(
      images.map((name) => this.#context.images.find(name).catch(() => undefined)),
    );
    return found.some((image) => image !== undefined);
  }

  async *#byClassic(choice: BuildChoice, signal: AbortSignal): AsyncIterable<JsonObject> {
    const { images: store, directories } = this.#context;
    const logins = loginsOf(choice.registryConfig);
    yield* classicBuild(store, directories.root, {
      ...choice,
      dockerfileName: choice.dockerfile,
      platform: choice.platform === undefined ? undefined : parsePlatform(choice.platform),
      network: choice.networkMode || "default",
      limits: limitsOf({ ...choice.limits, Ulimits: [...choice.limits.Ulimits] }, []),
      noCache: choice.noCache || !(await this.#mayUseCache(choice.cacheFrom)),
      images: new StoreImages(store, {
        pull: choice.pull,
        registries: this.#context.registries,
        plainErrors: true,
        credentials: async (domain) => logins.get(domain) ?? "stored",
      }),
      steps: this.#steps,
      signal,
      onImage: (image) => this.#made(image),
    });
  }

  /** As clients without gRPC ask for BuildKit: its progress comes as messages of its own kind. */
  async *#byBuildkit(choice: BuildChoice, signal: AbortSignal): AsyncIterable<JsonObject> {
    const ref = `http-${process.hrtime.bigint()}`;
    const job = this.#buildkit.jobs.get(ref);
    job.sessionId = choice.session;
    if (choice.networkMode === "host") job.entitlements = new Set(["network.host"]);
    const stop = () => job.abort.abort();
    signal.addEventListener("abort", stop);
    if (!/^(?:|default|host|none)$/.test(choice.networkMode)) {
      const mode = JSON.stringify(choice.networkMode);
      throw new BuildError("BUILD_INPUT", `network mode ${mode} not supported by buildkit`);
    }
    const options = new Map<string, string>([
      ["filename", choice.dockerfile],
      ...(choice.target === undefined ? [] : [["target", choice.target] as const]),
      ...(choice.platform === undefined ? [] : [["platform", choice.platform] as const]),
      ...(choice.noCache ? [["no-cache", ""] as const] : []),
      ...(choice.pull ? [["image-resolve-mode", "pull"] as const] : []),
      ["force-network-mode", choice.networkMode.replace("default", "")],
      ["shm-size", String(choice.shmBytes ?? "")],
      [
        "ulimit",
        choice.limits.Ulimits.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`).join(","),
      ],
      ["add-hosts", choice.extraHosts.map((host) => host.replace(":", "=")).join(",")],
      ...[...choice.buildArgs].map(([name, value]) => [`build-arg:${name}`, value] as const),
      ...[...choice.labels].map(([name, value]) => [`label:${name}`, value] as const),
      ...(/^(?:client-session)?$/.test(choice.remote) ? [] : [["context", choice.remote] as const]),
    ]);
    const upload = choice.remote === "" ? new ArchiveContext(choice.upload) : undefined;
    const work = (async () => {
      try {
        const results = await this.#buildkit.solve(job, options, { upload });
        const order = { type: "moby", attributes: new Map([["name", choice.names.join(",")]]) };
        return await this.#buildkit.export(job, results, order);
      } finally {
        await job.end();
        this.#buildkit.jobs.forget(ref);
      }
    })();
    work.catch(() => undefined); // looked at below
    try {
      for await (const event of job.events(signal)) {
        const aux = Buffer.from(statusBytes(event)).toString("base64");
        if (!choice.quiet) yield { id: "moby.buildkit.trace", aux };
      }
      const response = await work;
      const ID = response["containerimage.config.digest"] ?? "";
      yield { id: "moby.image.id", aux: { ID } };
      if (choice.quiet) yield { stream: `${ID}\n` };
    } catch (error) {
      const { message } = error as Error;
      yield { errorDetail: { message }, error: message };
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #made(image: StoredImage): void {
    const { events } = this.#context;
    const labels = image.config.config.Labels ?? {};
    events.emit("image", "create", image.id, { ...labels, name: image.id });
    for (const name of image.tags) events.emit("image", "tag", image.id, { ...labels, name });
  }
}

const ID_LENGTH = 25;

function describeRecord(record: CacheRecord): JsonObject {
  return {
    ID: record.id.slice(0, ID_LENGTH),
    Type: "regular",
    Description: record.description,
    InUse: false,
    Shared: record.shared,
    Size: record.size,
    CreatedAt: new Date(record.createdAt).toISOString(),
    LastUsedAt: new Date(record.lastUsedAt).toISOString(),
    UsageCount: record.usageCount,
  };
}

/** The logins in `X-Registry-Config`, by registry. What cannot be read is as good as none. */
function loginsOf(header: string | undefined) {
  const logins = new Map<string, ReturnType<typeof parseAuthConfig>>();
  if (header === undefined) return logins;
  try {
    const text = Buffer.from(header, "base64url").toString("utf8");
    for (const [server, login] of Object.entries(JSON.parse(text) as object)) {
      const domain = server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
      logins.set(domain === "index.docker.io" ? "docker.io" : domain, parseAuthConfig(login));
    }
  } catch {
    return logins;
  }
  return logins;
}

/** A duration before now, or a moment. */
function untilMs(text: string): number {
  const [, count, unit = ""] = /^([0-9.]+)(ms|s|m|h)$/.exec(text) ?? [];
  if (count === undefined) {
    const at = Date.parse(text);
    if (Number.isNaN(at)) throw new ApiError("INVALID_FILTER_VALUE", "until", text);
    return at;
  }
  const size = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as "ms" | "s" | "m" | "h"];
  return Date.now() - Number(count) * size;
}

function refusalOf(error: unknown): unknown {
  if (error instanceof BuildError) {
    return new ApiError(STATUSES[error.code] ?? "INVALID", error.message);
  }
  return refusal(error, "");
}

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Directories } from "../../sentry/container/directories.ts";
import type { ImageStore, StoredImage } from "../../sentry/image/image-store.ts";
import type { Platform } from "../../sentry/image/platform.ts";
import { canonicalName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";
import type { RegistrySettings } from "../../sentry/image/registry-settings.ts";
import { save } from "../../sentry/image/save.ts";
import { BuildError } from "../errors.ts";
import { builtArchive, builtFiles } from "../export/files.ts";
import { exportImage } from "../export/image.ts";
import { serveGrpc } from "../grpc/server.ts";
import type { NamedContext, StepRunner } from "../solve/request.ts";
import { type Solved, solve } from "../solve/solver.ts";
import type { StageState } from "../solve/stage-state.ts";
import { StepCache } from "../solve/step-cache.ts";
import { WorkDirectory } from "../solve/work-directory.ts";
import { StoreImages } from "../store-images.ts";
import { bridgeMethods } from "./bridge.ts";
import { controlMethods } from "./control.ts";
import { type Definition, sourceOf } from "./definition.ts";
import { describeError } from "./failure.ts";
import { sendArchive, sendFiles } from "./file-send.ts";
import { ClientDirectory } from "./file-sync.ts";
import { type FrontendLoans, type FrontendOptions, frontendRequest } from "./frontend.ts";
import { type HeldResult, type Job, Jobs } from "./jobs.ts";
import { sessionMethod } from "./session-call.ts";
import { type ClientSession, Sessions } from "./sessions.ts";

/** Results that are remembered for builds that stand on them. */
const REMEMBERED_MAX = 64;

/** What a client wants of a result. */
export interface ExportOrder {
  readonly type: string;
  readonly attributes: ReadonlyMap<string, string>;
}

export interface BuildkitOptions {
  readonly store: ImageStore;
  readonly directories: Directories;
  readonly steps: StepRunner;
  /** How registries are reached, as of now. */
  readonly registries: () => RegistrySettings;
  /** Told of each image that a build has made. */
  readonly onImage: (image: StoredImage) => void;
}

/** BuildKit's daemon, as its clients know it: builds over gRPC, with sessions that lend them the client's files. */
export class BuildkitEngine {
  readonly sessions: Sessions;
  readonly jobs = new Jobs();
  readonly cache: StepCache;
  readonly #options: BuildkitOptions;
  /** Results by their ids, for builds that stand on other builds. */
  readonly #built = new Map<string, StageState>();

  constructor(options: BuildkitOptions) {
    this.#options = options;
    this.sessions = new Sessions(options.directories.run);
    this.cache = new StepCache(options.store);
  }

  /** Speaks with a client that has asked for `/grpc`. */
  serve(connection: Duplex): void {
    const methods = [...controlMethods(this), sessionMethod(this), ...bridgeMethods(this)];
    serveGrpc(connection, methods, describeError);
  }

  /** Ends all builds. */
  close(): void {
    this.jobs.closeAll();
  }

  /**
   * Builds what a client's options say, and holds the result until the job's end.
   */
  async solve(
    job: Job,
    options: FrontendOptions,
    loans: Pick<FrontendLoans, "upload"> & {
      readonly inputs?: Readonly<Record<string, Definition>>;
    } = {},
  ): Promise<HeldResult> {
    const { store, directories, steps } = this.#options;
    const { signal } = job.abort;
    const session = () => this.sessions.get(job.sessionId);
    const work = await WorkDirectory.make(join(directories.root, "build", "work"));
    let solved: (value: Solved) => void = () => {};
    const held = new Promise<Solved>((resolve) => {
      solved = resolve;
    });
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const whole = (async () => {
      try {
        const wanted = await frontendRequest(options, session, job.progress, work, signal, {
          upload: loans.upload,
          inputs: this.#inputs(loans.inputs ?? {}, session),
        });
        const request = {
          ...wanted,
          secrets: {
            secret: async (id: string) => (await session()).secret(id),
            agentSocket: async (id: string, end: AbortSignal) =>
              (await session()).agentSocket(id, end),
          },
          images: new StoreImages(store, {
            pull: options.get("image-resolve-mode") === "pull",
            registries: this.#options.registries,
            plainErrors: false,
            credentials: (domain) => credentialsFor(domain, session),
          }),
          steps,
          entitlements: job.entitlements,
          signal,
        };
        await solve(store, directories.root, request, job.progress, async (result) => {
          solved(result);
          await released;
        }).catch((error: unknown) => {
          throw withSource(error, wanted.dockerfile, wanted.dockerfileName);
        });
      } finally {
        await work.remove();
      }
    })();
    whole.catch(() => undefined); // looked at below, or over before anybody wants it
    const end = whole.then((): never => {
      throw new Error("A build ended before its result was let go of");
    });
    const result = await Promise.race([held, end]);
    const id = randomBytes(12).toString("hex");
    const done = async () => {
      release();
      await whole;
    };
    const holding = { id, solved: result, release: done };
    job.results.set(id, holding);
    this.#remember(id, result.state);
    return holding;
  }

  #remember(id: string, state: StageState): void {
    this.#built.set(id, state);
    const [oldest] = this.#built.keys();
    if (this.#built.size > REMEMBERED_MAX && oldest !== undefined) this.#built.delete(oldest);
  }

  /** What definitions stand for. @throws {BuildError} BUILD_UNSUPPORTED, BUILD_NOT_FOUND */
  #inputs(
    definitions: Readonly<Record<string, Definition>>,
    session: () => Promise<ClientSession>,
  ): ReadonlyMap<string, NamedContext> {
    return new Map(
      Object.entries(definitions).map(([key, definition]): [string, NamedContext] => {
        const { kind, name } = sourceOf(definition);
        if (kind === "image") return [key, { kind: "image", reference: name }];
        if (kind === "local") {
          return [key, { kind: "files", source: new ClientDirectory(session, { name }) }];
        }
        const state = this.#built.get(name);
        if (state !== undefined) return [key, { kind: "built", state }];
        throw new BuildError("BUILD_NOT_FOUND", `the result ${name} is no longer known`);
      }),
    );
  }

  /** The image of that name, pulled where it is missing. */
  resolve(job: Job, reference: string, platform: Platform): Promise<StoredImage> {
    const { store } = this.#options;
    const session = () => this.sessions.get(job.sessionId);
    const images = new StoreImages(store, {
      pull: false,
      registries: this.#options.registries,
      plainErrors: false,
      credentials: (domain) => credentialsFor(domain, session),
    });
    const name = `[internal] load metadata for ${reference}`;
    return job.progress.run(name, [], (report) =>
      images.resolve(reference, platform, report, job.abort.signal),
    );
  }

  /** Puts a result where the client wants it. @returns what the client is told of it */
  async export(
    job: Job,
    { solved }: HeldResult,
    { type, attributes }: ExportOrder,
  ): Promise<Readonly<Record<string, string>>> {
    const session = () => this.sessions.get(job.sessionId);
    const inputs = solved.vertex === undefined ? [] : [solved.vertex];
    switch (type) {
      case "moby":
      case "image":
        return this.#exportImage(job, solved, attributes, inputs);
      case "local":
        await job.progress.run("exporting to client directory", inputs, async (report) =>
          report.part("copying files", async () => sendFiles(await session(), builtFiles(solved))),
        );
        return {};
      case "tar":
        await job.progress.run("exporting to client tarball", inputs, async (report) =>
          report.part("sending tarball", async () =>
            sendArchive(await session(), builtArchive(solved)),
          ),
        );
        return {};
      case "docker":
      case "oci":
        return this.#exportArchive(job, solved, attributes, inputs, session);
      case "":
      case "cacheonly":
        return {};
      default:
        throw new BuildError(
          "BUILD_UNSUPPORTED",
          `exporter ${JSON.stringify(type)} could not be found`,
        );
    }
  }

  async #exportImage(
    job: Job,
    solved: Solved,
    attributes: ReadonlyMap<string, string>,
    inputs: readonly string[],
  ): Promise<Readonly<Record<string, string>>> {
    if (attributes.get("push") === "true") {
      throw new BuildError("BUILD_UNSUPPORTED", "push is not supported: push the image afterwards");
    }
    const names = namesOf(attributes);
    return job.progress.run("exporting to image", inputs, async (report) => {
      const image = await report.part("exporting layers", () => exportImage(solved, names));
      await report.part(`writing image ${image.id}`, async () => undefined);
      for (const name of names) {
        const complete = canonicalName(withDefaultTag(parseReference(name)));
        await report.part(`naming to ${complete}`, async () => undefined);
      }
      this.#options.onImage(image);
      return {
        "containerimage.config.digest": image.id,
        "containerimage.digest": image.id,
        ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
      };
    });
  }

  async #exportArchive(
    job: Job,
    solved: Solved,
    attributes: ReadonlyMap<string, string>,
    inputs: readonly string[],
    session: () => Promise<ClientSession>,
  ): Promise<Readonly<Record<string, string>>> {
    const { store } = this.#options;
    return job.progress.run("exporting to docker image format", inputs, async (report) => {
      // The archive is made of an image of the store; without a name nobody else sees it for long.
      const known = new Set((await store.list()).map(({ id }) => id));
      const names = namesOf(attributes);
      const image = await report.part("exporting layers", () => exportImage(solved, names));
      try {
        await report.part("sending tarball", async () =>
          sendArchive(await session(), await save(store, names.length === 0 ? [image.id] : names)),
        );
      } finally {
        if (!known.has(image.id) && names.length === 0)
          await store.remove(image.id, { force: true });
      }
      return { "containerimage.config.digest": image.id };
    });
  }
}

function namesOf(attributes: ReadonlyMap<string, string>): readonly string[] {
  return (attributes.get("name") ?? "").split(",").filter((name) => name !== "");
}

/** What the Docker Hub is called among logins. */
const HUB = "registry-1.docker.io";

async function credentialsFor(domain: string, session: () => Promise<ClientSession>) {
  const host = domain === "docker.io" ? HUB : domain;
  const login = await (await session()).credentials(host).catch(() => undefined);
  if (login === undefined) return undefined;
  return login.username === "" || login.username === "<token>"
    ? { identityToken: login.secret }
    : { username: login.username, password: login.secret };
}

/** The Dockerfile that an error is about goes with it. */
function withSource(error: unknown, dockerfile: Uint8Array, name: string): unknown {
  if (error instanceof BuildError) error.source ??= { dockerfile, name };
  return error;
}

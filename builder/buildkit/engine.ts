import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Directories } from "../../sentry/container/directories.ts";
import type { ImageStore, StoredImage } from "../../sentry/image/image-store.ts";
import type { Platform } from "../../sentry/image/platform.ts";
import type { RegistrySettings } from "../../sentry/image/registry-settings.ts";
import { BuildError } from "../errors.ts";
import { serveGrpc } from "../grpc/server.ts";
import { type Answer, answer } from "../lint/answers.ts";
import type { Violation } from "../lint/lint.ts";
import { addressOf, RULES } from "../lint/rules.ts";
import type { BuildRequest, NamedContext, StepRunner } from "../solve/request.ts";
import { type Solved, solve } from "../solve/solver.ts";
import { StageState } from "../solve/stage-state.ts";
import { StepCache } from "../solve/step-cache.ts";
import { WorkDirectory } from "../solve/work-directory.ts";
import { StoreImages } from "../store-images.ts";
import { bridgeMethods } from "./bridge.ts";
import { controlMethods } from "./control.ts";
import { type Definition, sourceOf } from "./definition.ts";
import { type ExportOrder, exportResults, refuseOrder } from "./exporters.ts";
import { describeError } from "./failure.ts";
import { ClientDirectory } from "./file-sync.ts";
import {
  type FrontendLoans,
  type FrontendOptions,
  type FrontendRequest,
  frontendRequest,
  targetPlatforms,
} from "./frontend.ts";
import { type HeldResult, type Job, Jobs } from "./jobs.ts";
import { sessionMethod } from "./session-call.ts";
import { type ClientSession, Sessions } from "./sessions.ts";

/** Results that are remembered for builds that stand on them. */
const REMEMBERED_MAX = 64;

/** What a build is lent besides its options. */
export type BuildLoans = Pick<FrontendLoans, "upload"> & {
  readonly inputs?: Readonly<Record<string, Definition>>;
};

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
   * Builds what a client's options say, and holds the results until the job's end: one for each platform.
   * @throws {BuildError}, {ImageError}
   */
  async solve(
    job: Job,
    options: FrontendOptions,
    loans: BuildLoans = {},
  ): Promise<readonly HeldResult[]> {
    const platforms = targetPlatforms(options);
    const isOneOfSeveral = platforms.length > 1;
    if (isOneOfSeveral) for (const order of job.orders) refuseOrder(order);
    const results: HeldResult[] = [];
    for (const platform of platforms) {
      const target = { platform, isOneOfSeveral };
      results.push(await this.#solve(job, options, loans, target, results.length === 0));
    }
    return results;
  }

  async #solve(
    job: Job,
    options: FrontendOptions,
    loans: BuildLoans,
    target: Pick<BuildRequest, "platform" | "isOneOfSeveral">,
    isFirst: boolean,
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
          platform: target.platform,
        });
        const request: BuildRequest = {
          ...wanted,
          ...target,
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
          ...(isFirst
            ? {
                violations: {
                  ignore: wanted.ignore,
                  tell: (found) => tellViolations(job, wanted, found),
                },
              }
            : {}),
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

  /** Answers what a client asks in place of a build, by BuildKit's names. */
  async answer(job: Job, options: FrontendOptions, loans: BuildLoans = {}): Promise<Answer> {
    const { store, directories } = this.#options;
    const session = () => this.sessions.get(job.sessionId);
    const work = await WorkDirectory.make(join(directories.root, "build", "work"));
    try {
      const [platform] = targetPlatforms(options);
      const { signal } = job.abort;
      const wanted = await frontendRequest(options, session, job.progress, work, signal, {
        upload: loans.upload,
        platform,
      });
      return await answer(options.get("requestid") ?? "", {
        ...wanted,
        platform,
        ignore: wanted.ignore,
        variablesOf: async (name) => {
          const image = await store.find(name).catch(() => undefined);
          return image && StageState.of(image).variables.keys();
        },
      });
    } finally {
      await work.remove();
    }
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

  /** Puts results where the client wants them. @returns what the client is told of it */
  export(
    job: Job,
    results: readonly HeldResult[],
    order: ExportOrder,
  ): Promise<Readonly<Record<string, string>>> {
    const { store, onImage, registries } = this.#options;
    const session = () => this.sessions.get(job.sessionId);
    return exportResults(
      results.map(({ solved }) => solved),
      order,
      {
        job,
        store,
        session,
        onImage,
        registries,
        credentials: (domain) => credentialsFor(domain, session),
      },
    );
  }
}

/** Tells of what is odd about a Dockerfile, with the vertex that has read it. */
function tellViolations(
  job: Job,
  { vertex, dockerfile, dockerfileName: name }: FrontendRequest,
  found: readonly Violation[],
): void {
  if (vertex === undefined) return;
  for (const { rule, message, range } of found) {
    job.progress.warn(vertex, {
      message: `${rule}: ${message} (line ${range.start})`,
      detail: RULES[rule].description,
      url: addressOf(rule),
      source: { name, dockerfile },
      range,
    });
  }
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

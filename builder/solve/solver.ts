import { join } from "node:path";
import { type Digest, digestOf, hexOf } from "../../sentry/image/digest.ts";
import { ImageBuilder } from "../../sentry/image/image-builder.ts";
import { encodeDocument, readDocument } from "../../sentry/image/image-document.ts";
import type { ImageStore } from "../../sentry/image/image-store.ts";
import {
  hostPlatform,
  matches,
  type Platform,
  shortPlatformName,
} from "../../sentry/image/platform.ts";
import type { Instruction, Run } from "../dockerfile/instruction.ts";
import { csvFields } from "../dockerfile/mount-flag.ts";
import { parseDockerfile, parseTrigger } from "../dockerfile/parse.ts";
import { joinPath } from "../dockerfile/path.ts";
import { at, BuildError, type SourceRange } from "../errors.ts";
import { PARALLEL_STEPS_MAX } from "../limits.ts";
import { lintError, lintStages, lintWords } from "../lint/lint.ts";
import { parseLintOptions } from "../lint/options.ts";
import type { Build, StageRun } from "./build.ts";
import { type Owner, planCopy } from "./copy.ts";
import { copyStep } from "./copy-step.ts";
import { applyMetadata, isMetadata, word } from "./metadata.ts";
import { resolveOwner } from "./owner.ts";
import type { Progress } from "./progress.ts";
import type { BuildRequest, FileSource } from "./request.ts";
import { runStep } from "./run-step.ts";
import { Semaphore } from "./semaphore.ts";
import { Sources } from "./sources.ts";
import { StageState } from "./stage-state.ts";
import { namesOf, type PlannedStage, StageGraph } from "./stages.ts";
import { StepCache, stepKey } from "./step-cache.ts";
import { resolvePath } from "./tree-path.ts";
import { Trees } from "./trees.ts";
import { globalVariables, platformArgs } from "./variables.ts";
import { WorkDirectory } from "./work-directory.ts";

/** What was built: kept in the store only as long as the builder's work goes on. */
export interface Solved {
  readonly state: StageState;
  readonly images: ImageBuilder;
  readonly trees: Trees;
  /** The vertex that it ends with. */
  readonly vertex: string | undefined;
}

/**
 * Does what a Dockerfile says, as far as the target needs it, and hands the result to `finish`, whose images stay.
 * @param root `DD_ROOT`
 * @throws {BuildError}, {ImageError}
 */
export async function solve<T>(
  store: ImageStore,
  root: string,
  request: BuildRequest,
  progress: Progress,
  finish: (solved: Solved) => Promise<T>,
): Promise<T> {
  const place = join(root, "build");
  return ImageBuilder.run(store, request.signal, async (images) => {
    const work = await WorkDirectory.make(join(place, "work"));
    const trees = new Trees(store);
    try {
      const solver = new Solver(store, join(place, "cache-mounts"), request, {
        progress,
        images,
        trees,
        work,
      });
      return await finish({ ...(await solver.solve()), images, trees });
    } finally {
      trees.close();
      await work.remove();
    }
  });
}

class Solver {
  readonly #build: Build;
  readonly #graph: StageGraph;
  readonly #target: PlannedStage;
  readonly #needed: readonly PlannedStage[];
  readonly #states = new Map<PlannedStage, Promise<StageState>>();
  readonly #vertices = new Map<PlannedStage, string | undefined>();
  readonly #steps: Semaphore;
  readonly #platforms: ReadonlyMap<string, string>;
  readonly #total: number;
  #instruction = 0;

  constructor(
    store: ImageStore,
    cacheMounts: string,
    request: BuildRequest,
    shared: Pick<Build, "progress" | "images" | "trees" | "work">,
  ) {
    const file = parseDockerfile(request.dockerfile);
    const platform = request.platform ?? hostPlatform();
    const targetName = request.target || file.stages.at(-1)?.from.name || "default";
    const platforms = platformArgs(hostPlatform(), platform, targetName);
    const globals = globalVariables(file, platforms, request.buildArgs);
    this.#platforms = platforms;
    const { escapeToken } = file;
    this.#graph = new StageGraph(file, globals);
    this.#target = this.#graph.target(request.target);
    this.#needed =
      request.instructions === undefined
        ? this.#graph.needed(this.#target)
        : this.#graph.stages.slice(0, this.#target.index + 1);
    this.#total = this.#needed.reduce((sum, { stage }) => sum + 1 + stage.instructions.length, 0);
    this.#steps = new Semaphore(request.instructions === undefined ? PARALLEL_STEPS_MAX : 1);
    this.#build = {
      request,
      file,
      cacheMounts,
      ...shared,
      cache: new StepCache(store),
      metadata: { escapeToken, buildArgs: request.buildArgs, globals },
      sources: new Sources({
        request,
        ...shared,
        graph: this.#graph,
        platform,
        stage: (stage) => this.#state(stage),
      }),
    };
  }

  async solve(): Promise<{ state: StageState; vertex: string | undefined }> {
    const { request, sources } = this.#build;
    for (const { stage } of this.#needed) {
      for (const each of stage.instructions) {
        if (each.kind === "RUN") at(each.range, () => checkEntitlements(each, request));
      }
    }
    // The base images' triggers may copy anything.
    const anything = request.instructions !== undefined || (await this.#haveTriggers());
    await this.#lint();
    sources.need((name) => (anything ? undefined : neededPaths(this.#needed, name)));
    if (request.instructions !== undefined) {
      for (const stage of this.#needed) await this.#state(stage);
    }
    const started = this.#needed.map((stage) => this.#state(stage));
    // All are waited for: none may go on after the build has failed.
    const ended = await Promise.allSettled(started);
    const failed = ended.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const state = await this.#state(this.#target);
    if (request.labels.size > 0) {
      state.config.Labels = { ...state.config.Labels, ...Object.fromEntries(request.labels) };
    }
    const { platform } = request;
    if (platform !== undefined && !matches(platform, state.platform)) state.platform = platform;
    state.created ??= await this.#firstMade(state);
    return { state, vertex: this.#vertices.get(this.#target) };
  }

  /** Tells what is odd about the Dockerfile. @throws {BuildError} where the user wants none of it */
  async #lint(): Promise<void> {
    const { request, file, sources, metadata } = this.#build;
    const { violations, buildArgs } = request;
    if (violations === undefined) return;
    const known = new Map<PlannedStage, Iterable<string>>();
    for (const planned of this.#needed) {
      const { base, baseName, platform } = planned;
      const context = sources.named(baseName);
      if (base !== undefined || context?.kind === "files" || context?.kind === "built") continue;
      const reference = context?.reference ?? baseName;
      if (reference === "scratch") known.set(planned, []);
      else
        known.set(
          planned,
          StageState.of(await sources.image(reference, platform)).variables.keys(),
        );
    }
    const options = parseLintOptions(
      buildArgs.get("BUILDKIT_DOCKERFILE_CHECK") ?? file.check ?? "",
    );
    const { globals } = metadata;
    const input = { file, options, globals, platforms: this.#platforms, ignore: violations.ignore };
    const variablesOf = (planned: PlannedStage) => known.get(planned);
    const looked = this.#needed;
    const found = [...lintWords(input), ...lintStages(input, { looked, variablesOf })];
    violations.tell(found);
    lintError(found, options);
  }

  /** When an image was made first that no step has made anything for: what is built again is the same. */
  async #firstMade(state: StageState): Promise<string> {
    const { cache, request } = this.#build;
    if (state.epoch !== undefined) return state.epoch;
    const key = stepKey(state.layers, { kind: "image", document: digestOf(imageDocument(state)) });
    const made = request.noCache === true ? undefined : await cache.find(key);
    const { createdAt } = made ?? (await cache.add(key, [], "image"));
    return new Date(createdAt).toISOString();
  }

  /** Finds all images that stages stand on. @returns whether one has an ONBUILD */
  async #haveTriggers(): Promise<boolean> {
    const { sources } = this.#build;
    const found = await Promise.all(
      this.#needed.map(async (planned) => {
        const { base, baseName, platform, stage } = planned;
        if (sources.replacing(planned) !== undefined) return false;
        const context = sources.named(baseName);
        if (context?.kind === "built") return (context.state.config.OnBuild ?? []).length > 0;
        if (base !== undefined || context?.kind === "files") return false;
        if ((context?.reference ?? baseName) === "scratch") return false;
        const image = await sources
          .image(context?.reference ?? baseName, platform)
          .catch((error: unknown) => {
            throw aboutImage(error, stage.from.range);
          });
        return (StageState.of(image).config.OnBuild ?? []).length > 0;
      }),
    );
    return found.includes(true);
  }

  #state(planned: PlannedStage): Promise<StageState> {
    const known = this.#states.get(planned);
    if (known !== undefined) return known;
    const made = this.#evaluate(planned);
    made.catch(() => undefined); // whoever needs it sees the error
    this.#states.set(planned, made);
    return made;
  }

  async #evaluate(planned: PlannedStage): Promise<StageState> {
    const { request } = this.#build;
    const { stage } = planned;
    const replaced = await this.#replaced(planned);
    if (replaced !== undefined) return replaced;
    const state = await this.#base(planned);
    const triggers = (state.config.OnBuild ?? []).map((text) => parseTrigger(text));
    state.config.OnBuild = null;
    const instructions: readonly Exclude<Instruction, { kind: "FROM" }>[] = [
      ...triggers,
      ...stage.instructions,
    ];
    const run = this.#stageRun(planned, state, instructions);
    this.#vertices.set(planned, run.input);
    if (triggers.length > 0) request.instructions?.triggers(triggers.length);
    for (const [i, instruction] of instructions.entries()) {
      if (request.signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
      try {
        if (i >= triggers.length) this.#begin(instruction);
        await this.#instruct(run, instruction);
      } catch (error) {
        if (error instanceof BuildError) error.range ??= instruction.range;
        throw error;
      }
      this.#vertices.set(planned, run.input);
    }
    return state;
  }

  /** What a stage begins with: FROM. */
  async #base(planned: PlannedStage): Promise<StageState> {
    const { baseName, base, platform, stage } = planned;
    const { sources, progress, request } = this.#build;
    this.#begin(stage.from);
    const wanted = platform ?? request.platform ?? hostPlatform();
    const state = await (async () => {
      if (base !== undefined) {
        const below = await this.#state(base);
        return request.instructions === undefined ? below.inherit() : below.derive();
      }
      const context = sources.named(baseName);
      if (context?.kind === "files") return this.#ofFiles(baseName, context.source, wanted);
      if (context?.kind === "built") return context.state.derive();
      const reference = context?.reference ?? baseName;
      if (reference === "scratch") {
        return StageState.scratch(wanted, request.instructions !== undefined);
      }
      return StageState.of(await sources.image(reference, platform));
    })().catch((error: unknown) => {
      if (error instanceof BuildError) error.range ??= stage.from.range;
      throw error;
    });
    state.epoch = request.epoch;
    if (base === undefined && state.image !== undefined && request.instructions === undefined) {
      const prefix = this.#prefix(planned, 1, stepCount(planned, stage.instructions));
      await progress.run(`${prefix}FROM ${baseName}`, [], async (report) => {
        report.cached();
        this.#vertices.set(planned, report.vertex.digest);
      });
    }
    if (base !== undefined) this.#vertices.set(planned, this.#vertices.get(base));
    this.#end(state);
    return state;
  }

  /** What a stage begins with that stands on files. */
  async #ofFiles(name: string, source: FileSource, platform: Platform): Promise<StageState> {
    const { sources, trees, images } = this.#build;
    const state = StageState.scratch(platform);
    const root = trees.root((await sources.contextFiles(name, source)).directories);
    if (root === undefined) return state;
    const plan = planCopy({
      ...{ sources: [{ kind: "path", root, pattern: "/", asRoot: true }], destination: "/" },
      ...{ isDirectory: true, below: undefined, owner: undefined, mode: undefined },
      ...{ exclude: undefined, parents: false, now: 0n },
      missing: () => new BuildError("BUILD_NOT_FOUND", name),
    });
    state.layers.push((await images.createLayerOf(plan.members())).diffId);
    return state;
  }

  /** The stage that a context is there in place of; undefined where there is none. */
  async #replaced(planned: PlannedStage): Promise<StageState | undefined> {
    const { sources, request } = this.#build;
    const context = sources.replacing(planned);
    if (context === undefined) return undefined;
    if (context.kind === "built") return context.state.derive();
    const platform = planned.platform ?? request.platform ?? hostPlatform();
    const name = planned.label;
    if (context.kind === "files") return this.#ofFiles(name, context.source, platform);
    if (context.reference === "scratch") return StageState.scratch(platform);
    return StageState.of(await sources.image(context.reference, planned.platform));
  }

  #stageRun(
    planned: PlannedStage,
    state: StageState,
    instructions: readonly Instruction[],
  ): StageRun {
    const { noCache } = this.#build.request;
    const total = stepCount(planned, instructions);
    let index = planned.baseName === "scratch" ? 0 : 1;
    const named = (name: string) => name.toLowerCase() === planned.label;
    return {
      planned,
      state,
      input: this.#vertices.get(planned),
      nextPrefix: () => this.#prefix(planned, ++index, total),
      useCache: typeof noCache === "boolean" ? !noCache : !noCache.some(named),
    };
  }

  async #instruct(
    run: StageRun,
    instruction: Exclude<Instruction, { kind: "FROM" }>,
  ): Promise<void> {
    switch (instruction.kind) {
      case "RUN":
        // Other stages' results are waited for without a place among those who run.
        for (const name of namesOf(instruction)) await this.#build.sources.from(name, run.planned);
        await this.#steps.use(() => runStep(this.#build, run, instruction));
        break;
      case "COPY":
      case "ADD":
        await copyStep(this.#build, run, instruction);
        break;
      case "WORKDIR":
        await this.#workdir(run, instruction.value);
        break;
      default:
        if (isMetadata(instruction)) applyMetadata(run.state, instruction, this.#build.metadata);
    }
    this.#end(run.state);
  }

  /** WORKDIR also makes the directory, as the user that the stage has by then. */
  async #workdir(run: StageRun, text: string): Promise<void> {
    const { trees, images, cache, metadata, progress, request } = this.#build;
    const { state } = run;
    const path = joinPath(state.workingDirectory, word(state, text, metadata));
    const name = `${run.nextPrefix()}WORKDIR ${path}`;
    const inputs = run.input === undefined ? [] : [run.input];
    await progress.run(name, inputs, async (report) => {
      run.input = report.vertex.digest;
      state.config.WorkingDir = path;
      const below = trees.root(trees.directories(state.layers));
      if (resolvePath(below, path, true)?.node?.type === "directory") {
        report.cached();
        state.commit(`WORKDIR ${path}`, undefined);
        return;
      }
      const key = stepKey(state.layers, { kind: "workdir", path, user: state.user });
      let made = run.useCache ? await cache.find(key) : undefined;
      if (made !== undefined) {
        report.cached();
        request.instructions?.usingCache();
      } else {
        const owner: Owner | undefined =
          state.user === "" ? undefined : await resolveOwner(state.user, below);
        const plan = planCopy({
          sources: [{ kind: "bytes", name: "x", bytes: new Uint8Array(), mode: 0 }],
          destination: `${path}/x`,
          isDirectory: false,
          below,
          owner,
          mode: undefined,
          exclude: undefined,
          parents: false,
          now: BigInt(Date.now()) * 1_000_000n,
          missing: () => new BuildError("BUILD_NOT_FOUND", path),
        });
        const directories = [...plan.members()].filter(({ entry }) => entry.type === "directory");
        const { diffId } = await images.createLayerOf(directories);
        made = await cache.add(key, [diffId], name);
      }
      state.commit(`WORKDIR ${path}`, made);
    });
  }

  /** `[name 2/5] `; a stage that is alone and has no name goes without. */
  #prefix(planned: PlannedStage, index: number, total: number): string {
    const { request } = this.#build;
    const isNamed = planned.stage.from.name !== undefined || this.#graph.stages.length > 1;
    const platform = planned.platform ?? request.platform ?? hostPlatform();
    const words = [
      ...(request.isOneOfSeveral === true ? [shortPlatformName(platform)] : []),
      ...(isNamed ? [planned.label] : []),
      `${String(index).padStart(String(total).length)}/${total}`,
    ];
    return `[${words.join(" ")}] `;
  }

  #begin(instruction: Instruction): void {
    this.#build.request.instructions?.begin(instruction, ++this.#instruction, this.#total);
  }

  #end(state: StageState): void {
    this.#build.request.instructions?.end(hexOf(imageId(state)));
  }
}

/** Why an image that a stage stands on cannot be had. */
function aboutImage(error: unknown, range: SourceRange): unknown {
  if (error instanceof BuildError) error.range ??= range;
  return error;
}

/** @throws {BuildError} BUILD_INVALID for a step that wants more than its user has allowed */
function checkEntitlements({ security, network }: Run, request: BuildRequest): void {
  const wanted = network === "default" ? request.network : network;
  const rights = [
    ...(security === "insecure" ? ["security.insecure"] : []),
    ...(wanted === "host" ? ["network.host"] : []),
  ];
  const lacking = rights.find((right) => !request.entitlements.has(right));
  if (lacking !== undefined) {
    throw new BuildError("BUILD_INVALID", `failed to load LLB: ${lacking} is not allowed`);
  }
}

/** The id that an image of the state would have. */
function imageId(state: StageState): Digest {
  if (state.history.length === 0 && state.image !== undefined) return state.image.id;
  return digestOf(imageDocument(state));
}

/** The config that an image of the state would have; see export/image.ts. */
export function imageDocument(state: StageState): Uint8Array {
  const { image, platform, config, layers, history, author, created } = state;
  const before = image === undefined ? [] : readDocument(image.configBytes).history;
  return encodeDocument({
    platform,
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
    config,
    diffIds: layers,
    history: [...before, ...history],
  });
}

const STEPS: ReadonlySet<string> = new Set(["RUN", "COPY", "ADD", "WORKDIR"]);

function stepCount(planned: PlannedStage, instructions: readonly Instruction[]): number {
  const own = instructions.filter(({ kind }) => STEPS.has(kind)).length;
  return own + (planned.baseName === "scratch" ? 0 : 1);
}

/**
 * The files of a context that the stages name; undefined where that is not known.
 * @param name of the context; undefined for the one without
 */
function neededPaths(
  stages: readonly PlannedStage[],
  name: string | undefined,
): readonly string[] | undefined {
  const paths: string[] = [];
  const wanted = name?.toLowerCase();
  for (const { stage, baseName, label } of stages) {
    const isBase = baseName.toLowerCase() === wanted && label !== wanted;
    if (wanted !== undefined && isBase) return undefined;
    for (const instruction of stage.instructions) {
      const isCopy = instruction.kind === "COPY" || instruction.kind === "ADD";
      if (isCopy && instruction.from?.toLowerCase() === wanted) {
        paths.push(...instruction.sources.filter((source) => !/^[a-z]+:\/\//i.test(source)));
      } else if (instruction.kind === "RUN") {
        for (const mount of instruction.mounts) {
          const fields = csvFields(mount);
          const from = fields.find((field) => /^from=/i.test(field))?.slice("from=".length);
          const isBind = !fields.some((field) => /^type=(?!bind)/i.test(field));
          if (isBind && from?.toLowerCase() === wanted) {
            const source = fields.find((field) => /^(?:source|src)=/i.test(field));
            paths.push(source?.slice(source.indexOf("=") + 1) ?? "/");
          }
        }
      }
    }
  }
  return paths.some((path) => path.includes("$")) ? undefined : paths;
}

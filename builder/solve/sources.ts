import type { StoredImage } from "../../sentry/image/image-store.ts";
import type { Platform } from "../../sentry/image/platform.ts";
import { canonicalName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";
import { BuildError } from "../errors.ts";
import type { Progress } from "./progress.ts";
import type { BuildRequest, FileSource, NamedContext } from "./request.ts";
import type { StageState } from "./stage-state.ts";
import type { PlannedStage, StageGraph } from "./stages.ts";
import type { Trees } from "./trees.ts";
import type { WorkDirectory } from "./work-directory.ts";

/** Files that a step takes from: a tree of layers, and who they belong to. */
export interface SourceTree {
  /** Host directories, bottom to top. */
  readonly directories: readonly string[];
  /** What is copied from it belongs to root unless told otherwise. */
  readonly isContext: boolean;
}

/** Where the files and images come from that a build names; everything is fetched once. */
export class Sources {
  readonly #request: BuildRequest;
  readonly #progress: Progress;
  readonly #trees: Trees;
  readonly #work: WorkDirectory;
  readonly #graph: StageGraph;
  readonly #platform: Platform;
  readonly #stage: (stage: PlannedStage) => Promise<StageState>;
  readonly #images = new Map<string, Promise<StoredImage>>();
  readonly #files = new Map<FileSource, Promise<SourceTree>>();
  #needed: (name: string | undefined) => readonly string[] | undefined = () => undefined;

  constructor(options: {
    readonly request: BuildRequest;
    readonly progress: Progress;
    readonly trees: Trees;
    readonly work: WorkDirectory;
    readonly graph: StageGraph;
    /** Of images where nothing else is said. */
    readonly platform: Platform;
    readonly stage: (stage: PlannedStage) => Promise<StageState>;
  }) {
    this.#request = options.request;
    this.#progress = options.progress;
    this.#trees = options.trees;
    this.#work = options.work;
    this.#graph = options.graph;
    this.#platform = options.platform;
    this.#stage = options.stage;
  }

  /**
   * Says which files will be asked for; before the first is.
   * @param paths of a named context, or of the one without a name; undefined for all
   */
  need(paths: (name: string | undefined) => readonly string[] | undefined): void {
    this.#needed = paths;
  }

  /** The context of that name, also where it stands for an image. */
  named(name: string): NamedContext | undefined {
    const { contexts } = this.#request;
    const own = contexts.get(name) ?? contexts.get(name.toLowerCase());
    if (own !== undefined) return own;
    try {
      const reference = withDefaultTag(parseReference(name));
      return contexts.get(canonicalName(reference)) ?? contexts.get(`${name}:latest`);
    } catch {
      return undefined; // a name that no image can have
    }
  }

  /** The context that is there in place of a stage. */
  replacing({ stage }: PlannedStage): NamedContext | undefined {
    return stage.from.name === undefined ? undefined : this.named(stage.from.name);
  }

  /** The files of a named context. */
  contextFiles(name: string, source: FileSource): Promise<SourceTree> {
    return this.files(source, `[context ${name}] load from client`, this.#needed(name));
  }

  image(reference: string, platform = this.#platform): Promise<StoredImage> {
    const key = `${reference} ${platform.os}/${platform.architecture}`;
    const known = this.#images.get(key);
    if (known !== undefined) return known;
    const { images, signal } = this.#request;
    const found = this.#progress.run(
      `[internal] load metadata for ${nameOf(reference)}`,
      [],
      (report) => images.resolve(reference, platform, report, signal),
    );
    this.#images.set(key, found);
    return found;
  }

  context(): Promise<SourceTree> {
    return this.files(
      this.#request.context,
      "[internal] load build context",
      this.#needed(undefined),
    );
  }

  /** The files of a source, as a layer in the work directory. */
  files(
    source: FileSource,
    name: string,
    needed: readonly string[] | undefined,
  ): Promise<SourceTree> {
    const known = this.#files.get(source);
    if (known !== undefined) return known;
    const directory = this.#work.fresh("context");
    const loaded = this.#progress.run(name, [], async (report) => {
      await source.load(directory, needed, report, this.#request.signal);
      return { directories: [directory], isContext: true };
    });
    this.#files.set(source, loaded);
    return loaded;
  }

  /**
   * What `COPY --from=`, and `from=` of a mount, name: a stage before this one, a named context, or an image.
   * @throws {BuildError} BUILD_INVALID
   */
  async from(name: string, current: PlannedStage): Promise<SourceTree> {
    const stage = this.#graph.named(name, current.index);
    if (stage !== undefined && this.replacing(stage)?.kind !== "files") {
      const { layers } = await this.#stage(stage);
      return { directories: this.#trees.directories(layers), isContext: false };
    }
    const later = this.#graph.named(name, this.#graph.stages.length);
    if (stage === undefined && later !== undefined && !/^[0-9]/.test(name)) {
      const text = JSON.stringify(name);
      const own = JSON.stringify(current.stage.from.name ?? "");
      throw new BuildError(
        "BUILD_INVALID",
        later === current || this.#graph.needed(later).includes(current)
          ? `circular dependency detected on stage: ${name.toLowerCase()}`
          : `cannot copy from stage ${text}, it needs to be defined before current stage ${own}`,
      );
    }
    if (/^[0-9]+$/.test(name)) {
      throw new BuildError("BUILD_INVALID", `invalid stage index ${name}`);
    }
    const context = this.named(name);
    if (context?.kind === "files") return this.contextFiles(name, context.source);
    if (context?.kind === "built") {
      return { directories: this.#trees.directories(context.state.layers), isContext: false };
    }
    if ((context?.reference ?? name) === "scratch") return { directories: [], isContext: false };
    const image = await this.image(context?.reference ?? name);
    return { directories: image.layerDirectories, isContext: false };
  }
}

function nameOf(reference: string): string {
  try {
    return canonicalName(withDefaultTag(parseReference(reference)));
  } catch {
    return reference;
  }
}

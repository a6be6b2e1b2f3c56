import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText, toText } from "../../sentry/abi/bytes.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../context/remote.ts";
import { isArchive, unpackedTree } from "../context/unpack.ts";
import { expand } from "../dockerfile/expand.ts";
import { isGlob } from "../dockerfile/glob.ts";
import { chomped } from "../dockerfile/heredoc.ts";
import { PathMatcher } from "../dockerfile/ignore.ts";
import type { CopyOrAdd } from "../dockerfile/instruction.ts";
import { cleanPath, joinPath } from "../dockerfile/path.ts";
import { BuildError } from "../errors.ts";
import type { Build, StageRun } from "./build.ts";
import { type CopyOptions, type CopySource, expandPattern, planCopy, splitNames } from "./copy.ts";
import { word } from "./metadata.ts";
import { type ModeChange, parseModeChange } from "./mode-change.ts";
import { resolveOwner } from "./owner.ts";
import type { SourceTree } from "./sources.ts";
import { stepKey } from "./step-cache.ts";
import { stepName } from "./step-name.ts";
import { resolvePath } from "./tree-path.ts";

/** A COPY or ADD with its variables replaced. */
interface Wanted {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly checksum: string | undefined;
  readonly exclude: readonly string[];
}

/** Does a COPY or an ADD: a layer is written, no container is needed. */
export async function copyStep(build: Build, run: StageRun, instruction: CopyOrAdd): Promise<void> {
  const { state } = run;
  const { metadata } = build;
  const expanded = (text: string) => word(state, text, metadata);
  const optional = (text: string | undefined) => (text === undefined ? undefined : expanded(text));
  const wanted: Wanted = {
    sources: instruction.sources.map(expanded),
    destination: expanded(instruction.destination),
    chown: optional(instruction.chown),
    chmod: optional(instruction.chmod),
    checksum: optional(instruction.checksum),
    exclude: instruction.exclude.map(expanded),
  };
  const mode = wanted.chmod === undefined ? undefined : parseModeChange(wanted.chmod);
  const name = `${run.nextPrefix()}${stepName(state, instruction, build.file.escapeToken)}`;
  const below = instruction.link
    ? undefined
    : build.trees.root(build.trees.directories(state.layers));
  const owner =
    wanted.chown === undefined
      ? undefined
      : await resolveOwner(wanted.chown, build.trees.root(build.trees.directories(state.layers)));
  const sources = await sourcesOf(build, run, instruction, wanted);
  const inputs = run.input === undefined ? [] : [run.input];
  await build.progress.run(name, inputs, async (report) => {
    run.input = report.vertex.digest;
    const options = copyOptions(build, run, instruction, wanted, { sources, owner, mode, below });
    const plan = planCopy(options);
    const step = {
      kind: "copy",
      digest: await plan.digest(),
      destination: options.destination,
      owner: owner ?? null,
    };
    const key = stepKey(instruction.link ? [] : state.layers, step);
    let made = run.useCache ? await build.cache.find(key) : undefined;
    if (made !== undefined) {
      report.cached();
      build.request.instructions?.usingCache();
    } else {
      const layers = plan.isEmpty ? [] : [await build.images.createLayerOf(plan.members())];
      const diffIds = layers.map(({ diffId }) => diffId);
      made = await build.cache.add(key, diffIds, name);
    }
    state.commit(`${historyText(instruction, wanted)} # buildkit`, made);
  });
}

function historyText(instruction: CopyOrAdd, wanted: Wanted): string {
  const flags = [
    wanted.chown === undefined ? [] : `--chown=${wanted.chown}`,
    wanted.chmod === undefined ? [] : `--chmod=${wanted.chmod}`,
    instruction.link ? "--link" : [],
  ].flat();
  const contents = instruction.contents.map((heredoc) => heredoc.name);
  const words = [...flags, ...wanted.sources, ...contents, wanted.destination];
  return `${instruction.kind} ${words.join(" ")}`;
}

function copyOptions(
  build: Build,
  run: StageRun,
  instruction: CopyOrAdd,
  wanted: Wanted,
  {
    sources,
    owner,
    mode,
    below,
  }: {
    readonly sources: readonly CopySource[];
    readonly owner: { uid: number; gid: number } | undefined;
    readonly mode: ModeChange | undefined;
    readonly below: ImageNode | undefined;
  },
): CopyOptions {
  const { destination } = wanted;
  const isDirectory = /(?:^|\/)\.?$/.test(destination);
  const count = wanted.sources.length + instruction.contents.length;
  if (count > 1 && !isDirectory) {
    throw new BuildError(
      "BUILD_INVALID",
      `When using ${instruction.kind} with more than one source file, ` +
        "the destination must be a directory and end with a /",
    );
  }
  return {
    sources,
    destination: fromText(joinPath(run.state.workingDirectory, destination)),
    isDirectory,
    below,
    owner,
    mode,
    exclude: wanted.exclude.length === 0 ? undefined : new PathMatcher(wanted.exclude),
    parents: instruction.parents,
    now: BigInt(Date.now()) * 1_000_000n,
    missing: (pattern) => missing(build, pattern),
  };
}

function missing(build: Build, pattern: ByteString): BuildError {
  const path = cleanPath(`/${toText(pattern)}`);
  if (build.request.instructions !== undefined) {
    return new BuildError(
      "BUILD_NOT_FOUND",
      "COPY failed: file not found in build context or excluded by .dockerignore: " +
        `stat ${path.slice(1)}: file does not exist`,
    );
  }
  return new BuildError(
    "BUILD_NOT_FOUND",
    `failed to compute cache key: failed to calculate checksum of ref: ${JSON.stringify(path)}: not found`,
  );
}

async function sourcesOf(
  build: Build,
  run: StageRun,
  instruction: CopyOrAdd,
  wanted: Wanted,
): Promise<readonly CopySource[]> {
  const contents = instruction.contents.map(
    (heredoc): CopySource => ({
      kind: "bytes",
      name: fromText(heredoc.name),
      mode: 0o644,
      bytes: Buffer.from(
        heredoc.expand
          ? expand(chomped(heredoc), run.state.variables, {
              escapeToken: build.file.escapeToken,
              ignoreQuotes: true,
              rawEscapes: false,
            })
          : chomped(heredoc),
      ),
    }),
  );
  const lists = await Promise.all(
    wanted.sources.map((source) =>
      instruction.kind === "ADD"
        ? addSource(build, instruction, source, wanted.checksum)
        : copySource(build, run, instruction, source),
    ),
  );
  return [...lists.flat(), ...contents];
}

async function copySource(
  build: Build,
  run: StageRun,
  { from }: CopyOrAdd,
  source: string,
): Promise<readonly CopySource[]> {
  const tree =
    from === undefined
      ? await build.sources.context()
      : await build.sources.from(from, run.planned).catch((error: unknown) => {
          if (build.request.instructions === undefined || !(error instanceof BuildError))
            throw error;
          const message = `invalid from flag value ${from}: ${error.message}`;
          throw new BuildError(error.code, message, { cause: error });
        });
  return [pathSource(build, tree, source)];
}

function pathSource(
  build: Build,
  { directories, isContext }: SourceTree,
  source: string,
): CopySource {
  const root = build.trees.root(directories);
  const pattern = fromText(source);
  if (root === undefined) throw missing(build, pattern);
  return { kind: "path", root, pattern, asRoot: isContext };
}

/** ADD also fetches from the web and from git, and unpacks archives. */
async function addSource(
  build: Build,
  instruction: CopyOrAdd,
  source: string,
  checksum: string | undefined,
): Promise<readonly CopySource[]> {
  if (isGit(source)) {
    const repository = new GitRepository(source, instruction.keepGitDir);
    const tree = await build.sources.files(
      repository,
      `[internal] load git source ${source}`,
      undefined,
    );
    return [pathSource(build, tree, "/")];
  }
  if (isUrl(source)) {
    const file = new UrlFile(source, checksum);
    const tree = await build.sources.files(file, `[internal] load ${source}`, undefined);
    const path = pathSource(build, tree, literal(UrlFile.nameOf(source)));
    return instruction.unpack === true ? unpacked(build, path) : [path];
  }
  if (checksum !== undefined) {
    throw new BuildError("BUILD_INVALID", "checksum can't be specified for local sources");
  }
  const path = pathSource(build, await build.sources.context(), source);
  return instruction.unpack === false ? [path] : unpacked(build, path);
}

/** A pattern that means just that path. */
function literal(path: string): string {
  return path.replace(/[*?[\\]/g, "\\$&");
}

/** The source itself, or what is in it where it is an archive; each of them where it names several. */
async function unpacked(build: Build, source: CopySource): Promise<readonly CopySource[]> {
  if (source.kind !== "path") return [source];
  const { root, pattern } = source;
  if (!isGlob(pattern)) return [await unpackedFile(build, source, pattern)];
  const paths = expandPattern(root, splitNames(pattern)).map((names) => names.join("/"));
  if (paths.length === 0) return [source]; // to be complained of as anything that is not there
  return Promise.all(
    paths.map((path) => unpackedFile(build, { ...source, pattern: literal(path) }, path)),
  );
}

async function unpackedFile(
  build: Build,
  source: CopySource & { kind: "path" },
  path: ByteString,
): Promise<CopySource> {
  const node = resolvePath(source.root, path, true)?.node;
  if (node?.type !== "file" || !(await isArchive(node))) return source;
  const directory = build.work.fresh("unpacked");
  await unpackedTree(node, directory, build.request.signal);
  const root = build.trees.root([directory]);
  return root === undefined ? source : { kind: "tree", root };
}

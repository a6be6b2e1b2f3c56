import { mkdir } from "node:fs/promises";
import { openImage } from "../../sentry/image/merged-tree.ts";
import { hostPlatform, type Platform, parsePlatform } from "../../sentry/image/platform.ts";
import { fileIn, loadedContext } from "../context/loaded.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../context/remote.ts";
import { readIgnoreFile } from "../dockerfile/ignore.ts";
import { BuildError } from "../errors.ts";
import { DOCKERFILE_BYTES_MAX, IGNORE_BYTES_MAX } from "../limits.ts";
import type { Progress } from "../solve/progress.ts";
import type { BuildRequest, FileSource, NamedContext } from "../solve/request.ts";
import type { WorkDirectory } from "../solve/work-directory.ts";
import { ClientDirectory } from "./file-sync.ts";
import type { ClientSession } from "./sessions.ts";

/** What a client says about a build: `target`, `build-arg:NAME`, `context:NAME`, ... See the frontend's reference. */
export type FrontendOptions = ReadonlyMap<string, string>;

/** The part of a request that a client's options say. */
export type FrontendRequest = Pick<
  BuildRequest,
  | "dockerfile"
  | "dockerfileName"
  | "context"
  | "contexts"
  | "target"
  | "buildArgs"
  | "labels"
  | "platform"
  | "network"
  | "noCache"
  | "extraHosts"
  | "shmBytes"
>;

/** What a build has been given besides its options. */
export interface FrontendLoans {
  /** The context with the Dockerfile in it, where the client does not lend it by its session. */
  readonly upload?: FileSource | undefined;
  /** Contexts by the names that `input:NAME` has. */
  readonly inputs?: ReadonlyMap<string, NamedContext>;
}

/**
 * Reads a client's options, and fetches the Dockerfile that they name.
 * @throws {BuildError}
 */
export async function frontendRequest(
  options: FrontendOptions,
  session: () => Promise<ClientSession>,
  progress: Progress,
  work: WorkDirectory,
  signal: AbortSignal,
  { upload, inputs = new Map() }: FrontendLoans = {},
): Promise<FrontendRequest> {
  if (options.has("requestid")) {
    throw new BuildError("BUILD_UNSUPPORTED", `unsupported request ${options.get("requestid")}`);
  }
  const filename = options.get("filename") || "Dockerfile";
  const place = options.get("context") ?? "";
  const remote = isGit(place)
    ? new GitRepository(place, false)
    : isUrl(place)
      ? new UrlFile(place, undefined)
      : upload;
  const input =
    remote !== undefined
      ? await remoteInput(remote, filename, progress, work, signal)
      : await clientInput(options, filename, session, progress, work, signal);
  return { ...input, ...settings(options), contexts: namedContexts(options, session, inputs) };
}

type Input = Pick<BuildRequest, "dockerfile" | "dockerfileName" | "context">;

async function remoteInput(
  source: FileSource,
  filename: string,
  progress: Progress,
  work: WorkDirectory,
  signal: AbortSignal,
): Promise<Input> {
  return progress.run("[internal] load remote build context", [], async () => {
    const directory = work.fresh("remote");
    await mkdir(directory, { mode: 0o700 });
    const loaded = await loadedContext(source, directory, filename, signal);
    return { ...loaded, dockerfileName: filename };
  });
}

async function clientInput(
  options: FrontendOptions,
  filename: string,
  session: () => Promise<ClientSession>,
  progress: Progress,
  work: WorkDirectory,
  signal: AbortSignal,
): Promise<Input> {
  const contextName = options.get("contextkey") ?? "context";
  const ignoreName = `${filename}.dockerignore`;
  const read = (what: string, name: string, paths: readonly string[]) =>
    progress.run(`[internal] load ${what}`, [], async (report) => {
      const directory = work.fresh("small");
      const source = new ClientDirectory(session, { name, follow: paths, includes: undefined });
      await source.load(directory, paths, report, signal);
      const tree = openImage([directory]);
      try {
        const limit = Math.max(DOCKERFILE_BYTES_MAX, IGNORE_BYTES_MAX);
        return await Promise.all(paths.map((path) => fileIn(tree.root, path, limit)));
      } finally {
        tree.close();
      }
    });
  const dockerfileName = options.get("dockerfilekey") ?? "dockerfile";
  const [[dockerfile, own], [common]] = await Promise.all([
    read(`build definition from ${filename}`, dockerfileName, [filename, ignoreName]),
    read(".dockerignore", contextName, [".dockerignore"]),
  ]);
  if (dockerfile === undefined) {
    throw new BuildError(
      "BUILD_NOT_FOUND",
      `failed to read dockerfile: open ${filename}: no such file or directory`,
    );
  }
  const ignore = own ?? common;
  const excludes = ignore === undefined ? [] : readIgnoreFile(ignore);
  const context = new ClientDirectory(session, { name: contextName, excludes });
  return { dockerfile, dockerfileName: filename, context };
}

function settings(options: FrontendOptions): Omit<FrontendRequest, keyof Input | "contexts"> {
  const network = options.get("force-network-mode") ?? "";
  const noCache = options.get("no-cache");
  return {
    target: options.get("target"),
    buildArgs: prefixed(options, "build-arg:"),
    labels: prefixed(options, "label:"),
    platform: platformOf(options.get("platform")),
    network: network === "none" || network === "host" ? network : "default",
    noCache: noCache === undefined ? false : noCache === "" || noCache.split(","),
    extraHosts: (options.get("add-hosts") ?? "")
      .split(",")
      .filter((each) => each !== "")
      .map((each) => each.replace("=", ":")),
    shmBytes: options.has("shm-size") ? Number(options.get("shm-size")) : undefined,
  };
}

function prefixed(options: FrontendOptions, prefix: string): ReadonlyMap<string, string> {
  const found = [...options].filter(([key]) => key.startsWith(prefix));
  return new Map(found.map(([key, value]) => [key.slice(prefix.length), value]));
}

function platformOf(text: string | undefined): Platform | undefined {
  if (text === undefined || text === "") return undefined;
  const platforms = text.split(",");
  const [first = ""] = platforms;
  if (platforms.length > 1) {
    throw new BuildError(
      "BUILD_UNSUPPORTED",
      "multi-platform builds are not supported: build for one platform at a time",
    );
  }
  return first === "local" ? hostPlatform() : parsePlatform(first);
}

function namedContexts(
  options: FrontendOptions,
  session: () => Promise<ClientSession>,
  inputs: ReadonlyMap<string, NamedContext>,
): ReadonlyMap<string, NamedContext> {
  const found = new Map<string, NamedContext>();
  for (const [key, place] of prefixed(options, "context:")) {
    const input = place.startsWith("input:") ? inputs.get(place.slice("input:".length)) : undefined;
    found.set(key.replace(/::.*$/, ""), input ?? contextOf(key, place, session));
  }
  return found;
}

function contextOf(
  name: string,
  place: string,
  session: () => Promise<ClientSession>,
): NamedContext {
  const [, kind, rest = ""] = /^(docker-image:\/\/|local:)(.*)$/.exec(place) ?? [];
  if (kind === "docker-image://") return { kind: "image", reference: rest };
  const files = (source: FileSource): NamedContext => ({ kind: "files", source });
  if (kind === "local:") return files(new ClientDirectory(session, { name: rest }));
  if (isGit(place)) return files(new GitRepository(place, false));
  if (isUrl(place)) return files(new UrlFile(place, undefined));
  throw new BuildError("BUILD_UNSUPPORTED", `unsupported context source ${place} for ${name}`);
}

import { mkdir } from "node:fs/promises";
import { isUlimit } from "../../sentry/container/ulimit-name.ts";
import { openImage } from "../../sentry/image/merged-tree.ts";
import {
  hostPlatform,
  type Platform,
  parseAnyPlatform,
  platformName,
  shortPlatformName,
} from "../../sentry/image/platform.ts";
import type { LimitsSpec } from "../../sentry/spec.ts";
import { fileIn, loadedContext, loadedFile } from "../context/loaded.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../context/remote.ts";
import { PathMatcher, readIgnoreFile } from "../dockerfile/ignore.ts";
import { BuildError } from "../errors.ts";
import { GrpcError } from "../grpc/status.ts";
import { DOCKERFILE_BYTES_MAX, IGNORE_BYTES_MAX } from "../limits.ts";
import type { Progress, Vertex } from "../solve/progress.ts";
import type { BuildRequest, FileSource, NamedContext } from "../solve/request.ts";
import type { WorkDirectory } from "../solve/work-directory.ts";
import { ClientDirectory } from "./file-sync.ts";
import { isSessionUpload, SessionUpload } from "./session-upload.ts";
import type { ClientSession } from "./sessions.ts";

/** What a client says about a build: `target`, `build-arg:NAME`, `context:NAME`, ... See the frontend's reference. */
export type FrontendOptions = ReadonlyMap<string, string>;

/** The part of a request that a client's options say. */
export type FrontendRequest = Pick<Input, "vertex" | "ignore"> &
  Pick<
    BuildRequest,
    | "dockerfile"
    | "dockerfileName"
    | "context"
    | "contexts"
    | "target"
    | "buildArgs"
    | "labels"
    | "network"
    | "noCache"
    | "extraHosts"
    | "shmBytes"
    | "limits"
    | "hostname"
    | "epoch"
  >;

/** What a build has been given besides its options. */
export interface FrontendLoans {
  /** The context with the Dockerfile in it, where the client does not lend it by its session. */
  readonly upload?: FileSource | undefined;
  /** Contexts by the names that `input:NAME` has. */
  readonly inputs?: ReadonlyMap<string, NamedContext>;
  /** That is built for: contexts may be of one. */
  readonly platform?: Platform | undefined;
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
  { upload, inputs = new Map(), platform }: FrontendLoans = {},
): Promise<FrontendRequest> {
  const filename = options.get("filename") || "Dockerfile";
  const place = options.get("context") ?? "";
  const input = await inputOf();
  return {
    ...input,
    ...settings(options),
    contexts: namedContexts(options, session, inputs, platform),
  };

  function inputOf(): Promise<Input> {
    const name = "[internal] load remote build context";
    const remote = (load: (directory: string) => ReturnType<typeof loadedContext>) =>
      progress.run(name, [], async (): Promise<Input> => {
        const directory = work.fresh("remote");
        await mkdir(directory, { mode: 0o700 });
        const loaded = { ...(await load(directory)), dockerfileName: filename };
        if (own === undefined) return loaded;
        const { dockerfile } = await clientInput(
          options,
          filename,
          session,
          progress,
          work,
          signal,
        );
        return { ...loaded, dockerfile };
      });
    // The client may lend the Dockerfile itself, also where the context comes from elsewhere.
    const own = options.get("dockerfilekey");
    const inside = own === undefined ? filename : undefined;
    if (isSessionUpload(place)) {
      const source = new SessionUpload(session, place);
      const { fileName } = SessionUpload;
      return remote((directory) => loadedFile(source, fileName, directory, inside, signal));
    }
    if (!isGit(place) && isUrl(place)) {
      const source = new UrlFile(place, undefined);
      const fileName = UrlFile.nameOf(place);
      return remote((directory) => loadedFile(source, fileName, directory, inside, signal));
    }
    const source = isGit(place) ? new GitRepository(place, false) : upload;
    if (source !== undefined) {
      return remote((directory) => loadedContext(source, directory, inside, signal));
    }
    return clientInput(options, filename, session, progress, work, signal);
  }
}

interface Input extends Pick<BuildRequest, "dockerfile" | "dockerfileName" | "context"> {
  /** What has read the Dockerfile. */
  readonly vertex?: Vertex;
  readonly ignore?: PathMatcher | undefined;
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
  const dockerfileName = options.get("dockerfilekey") ?? "dockerfile";
  const ignoreName = `${filename}.dockerignore`;
  let vertex: Vertex | undefined;
  const read = (what: string, name: string, paths: readonly string[]) =>
    progress.run(`[internal] load ${what}`, [], async (report) => {
      if (name === dockerfileName) vertex = report.vertex;
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
  // A Dockerfile may be in lower case, where nothing else is asked for.
  const lower = filename.replace(/(^|\/)Dockerfile$/, "$1dockerfile");
  const names = [filename, ignoreName, ...(lower === filename ? [] : [lower])];
  const [[plain, own, lowered], [common]] = await Promise.all([
    read(`build definition from ${filename}`, dockerfileName, names),
    read(".dockerignore", contextName, [".dockerignore"]).catch((error: unknown) => {
      // Who needs no files need not lend a directory.
      if (error instanceof GrpcError && error.code === "NOT_FOUND") return [];
      throw error;
    }),
  ]);
  const dockerfile = plain ?? lowered;
  if (dockerfile === undefined) {
    throw new BuildError(
      "BUILD_NOT_FOUND",
      `failed to read dockerfile: open ${filename}: no such file or directory`,
    );
  }
  const ignore = own ?? common;
  const excludes = ignore === undefined ? [] : readIgnoreFile(ignore);
  const context = new ClientDirectory(session, { name: contextName, excludes });
  return {
    ...{ dockerfile, dockerfileName: filename, context },
    ...(vertex === undefined ? {} : { vertex }),
    ignore: excludes.length === 0 ? undefined : new PathMatcher(excludes),
  };
}

function settings(options: FrontendOptions): Omit<FrontendRequest, keyof Input | "contexts"> {
  const noCache = options.get("no-cache");
  return {
    target: options.get("target"),
    buildArgs: prefixed(options, "build-arg:"),
    labels: prefixed(options, "label:"),
    network: networkOf(options.get("force-network-mode") ?? ""),
    noCache: noCache === undefined ? false : noCache === "" || noCache.split(","),
    extraHosts: (options.get("add-hosts") ?? "")
      .split(",")
      .filter((each) => each !== "")
      .map((each) => each.replace("=", ":")),
    shmBytes: shmBytesOf(options.get("shm-size") ?? ""),
    limits: { ulimits: (options.get("ulimit") ?? "").split(",").filter(Boolean).map(ulimitOf) },
    epoch: epochOf(options.get("build-arg:SOURCE_DATE_EPOCH") ?? ""),
    hostname: options.get("build-arg:BUILDKIT_SANDBOX_HOSTNAME") || options.get("hostname"),
  };
}

function networkOf(mode: string): string {
  if (mode === "" || mode === "sandbox") return "default";
  if (mode === "none" || mode === "host") return mode;
  throw new BuildError("BUILD_INPUT", `invalid netmode ${mode}`);
}

function epochOf(text: string): string | undefined {
  if (text === "") return undefined;
  if (/^[0-9]{1,11}$/.test(text)) return new Date(Number(text) * 1000).toISOString();
  throw new BuildError("BUILD_INPUT", `invalid SOURCE_DATE_EPOCH: ${text}`);
}

function shmBytesOf(text: string): number | undefined {
  if (text === "") return undefined;
  if (/^[0-9]{1,15}$/.test(text)) return Number(text) || undefined;
  throw new BuildError("BUILD_INPUT", `failed to parse shm size: invalid syntax: ${text}`);
}

function ulimitOf(text: string): LimitsSpec["ulimits"][number] {
  const [, name = "", soft = "", hard = soft] =
    /^([a-z]+)=(-?[0-9]{1,15})(?::(-?[0-9]{1,15}))?$/.exec(text) ?? [];
  if (name === "") {
    throw new BuildError("BUILD_INPUT", `failed to parse ulimit: invalid ulimit argument: ${text}`);
  }
  if (!isUlimit(name)) {
    throw new BuildError("BUILD_INPUT", `failed to parse ulimit: invalid ulimit type: ${name}`);
  }
  return { name, soft: Number(soft), hard: Number(hard) };
}

function prefixed(options: FrontendOptions, prefix: string): ReadonlyMap<string, string> {
  const found = [...options].filter(([key]) => key.startsWith(prefix));
  return new Map(found.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** The platforms to build for; undefined stands for the host's where none is asked for. */
export function targetPlatforms(options: FrontendOptions): readonly (Platform | undefined)[] {
  const text = options.get("platform") ?? "";
  if (text === "") return [undefined];
  const all = text
    .split(",")
    .map((each) => (each === "local" ? hostPlatform() : parseAnyPlatform(each)));
  return [...new Map(all.map((each) => [platformName(each), each])).values()];
}

function namedContexts(
  options: FrontendOptions,
  session: () => Promise<ClientSession>,
  inputs: ReadonlyMap<string, NamedContext>,
  platform = hostPlatform(),
): ReadonlyMap<string, NamedContext> {
  const found = new Map<string, NamedContext>();
  // What is for this platform alone comes last, and counts.
  const all = [...prefixed(options, "context:")].filter(([key]) => {
    const [, own] = key.split("::");
    return own === undefined || own === shortPlatformName(platform);
  });
  for (const [key, place] of all.sort(([a], [b]) => a.split("::").length - b.split("::").length)) {
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
  const [, kind, rest = ""] = /^(docker-image:(?:\/\/)?|local:)(.*)$/.exec(place) ?? [];
  if (kind?.startsWith("docker-image:") === true) return { kind: "image", reference: rest };
  const files = (source: FileSource): NamedContext => ({ kind: "files", source });
  if (kind === "local:") return files(new ClientDirectory(session, { name: rest }));
  if (isGit(place)) return files(new GitRepository(place, false));
  if (isUrl(place)) return files(new UrlFile(place, undefined));
  throw new BuildError("BUILD_UNSUPPORTED", `unsupported context source ${place} for ${name}`);
}

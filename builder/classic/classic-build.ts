import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fromText } from "../../sentry/abi/bytes.ts";
import { randomId } from "../../sentry/container/names.ts";
import type { ImageStore, StoredImage } from "../../sentry/image/image-store.ts";
import { familiarName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";
import { ArchiveContext, EMPTY_CONTEXT } from "../context/archive.ts";
import { loadedContext, loadedFile } from "../context/loaded.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../context/remote.ts";
import { isArchiveHead, peek } from "../context/unpack.ts";
import { withoutFiles } from "../context/without.ts";
import type { Instruction } from "../dockerfile/instruction.ts";
import { parseDockerfile } from "../dockerfile/parse.ts";
import { cleanPath } from "../dockerfile/path.ts";
import { BuildError } from "../errors.ts";
import { exportImage } from "../export/image.ts";
import { DOCKERFILE_BYTES_MAX } from "../limits.ts";
import { Messages } from "../solve/messages.ts";
import { Progress } from "../solve/progress.ts";
import type { BuildRequest, FileSource, InstructionListener } from "../solve/request.ts";
import { solve } from "../solve/solver.ts";
import { isPredefined } from "../solve/variables.ts";
import { WorkDirectory } from "../solve/work-directory.ts";
import { KnownSteps } from "./known-steps.ts";

const SHORT_ID = 12;

/** What the classic builder is asked for. */
export interface ClassicOrder
  extends Pick<
    BuildRequest,
    | "target"
    | "buildArgs"
    | "labels"
    | "platform"
    | "network"
    | "extraHosts"
    | "shmBytes"
    | "limits"
    | "images"
    | "steps"
    | "signal"
  > {
  /** The context: an archive, or a Dockerfile alone. */
  readonly upload: AsyncIterable<Uint8Array>;
  /** A URL to take the context from, or empty. */
  readonly remote: string;
  readonly dockerfileName: string;
  readonly names: readonly string[];
  readonly noCache: boolean;
  /** Build arguments that were named, and have no value. */
  readonly unsetArgs: readonly string[];
  /** Only the id is told. */
  readonly quiet: boolean;
  readonly onImage: (image: StoredImage) => void;
}

/** A line of the answer: docker's `jsonmessage`. */
export type ClassicMessage = Readonly<Record<string, unknown>>;

/**
 * A build as the Engine API's `POST /build` has had it from the beginning: step after step, told as it goes. What is
 * wrong with the request or the Dockerfile is thrown before the first message; a failure later is the last one.
 * @throws {BuildError}, {ImageError}
 */
export async function* classicBuild(
  store: ImageStore,
  root: string,
  order: ClassicOrder,
): AsyncGenerator<ClassicMessage, void, void> {
  const work = await WorkDirectory.make(join(root, "build", "work"));
  try {
    for (const name of order.names) parseReference(name);
    const input = await inputOf(order, work);
    const { stages, globalArgs } = parseDockerfile(input.dockerfile);
    const [first] = stages;
    const isEmpty = first?.from.base === "scratch" && first.instructions.length === 0;
    if (stages.length === 1 && isEmpty && order.labels.size === 0) {
      throw new BuildError("BUILD_INVALID", "No image was generated. Is your Dockerfile empty?");
    }
    const messages = new Messages<ClassicMessage>();
    const say = (text: string) => {
      if (!order.quiet) messages.tell({ stream: text });
    };
    const progress = new Progress(() => {});
    const known = new KnownSteps(root);
    const request: BuildRequest = {
      ...order,
      ...input,
      contexts: new Map(),
      hostname: undefined,
      entitlements: new Set(["network.host"]),
      secrets: { secret: async () => undefined, agentSocket: async () => undefined },
      instructions: listener(say, known, !order.noCache),
    };
    const built = solve(store, root, request, progress, async (solved) => {
      const image = await exportImage(solved, order.names);
      order.onImage(image);
      return image;
    });
    built.then(
      (image) => {
        const known = new Set(
          [...globalArgs, ...stages.flatMap(({ instructions }) => instructions)].flatMap((each) =>
            each.kind === "ARG" ? each.args.map(({ key }) => key) : [],
          ),
        );
        const unused = [...order.buildArgs.keys()].filter(
          (name) => !known.has(name) && !isPredefined(name),
        );
        unused.push(...order.unsetArgs.filter((name) => !known.has(name)));
        if (unused.length > 0) {
          say(`[Warning] One or more build-args [${unused.sort().join(" ")}] were not consumed\n`);
        }
        if (order.quiet) messages.tell({ stream: `${image.id}\n` });
        else {
          messages.tell({ aux: { ID: image.id } });
          say(
            `Successfully built ${image.id.slice("sha256:".length, "sha256:".length + SHORT_ID)}\n`,
          );
          for (const name of order.names) {
            say(`Successfully tagged ${familiarName(withDefaultTag(parseReference(name)))}\n`);
          }
        }
        messages.end();
      },
      (error: unknown) => {
        const { message } = error as Error;
        const code = error instanceof BuildError ? error.exitCode : undefined;
        messages.tell({
          errorDetail: { ...(code === undefined ? {} : { code }), message },
          error: message,
        });
        messages.end();
      },
    );
    yield* messages;
    await built.catch(() => undefined); // it has been told
    known.write();
  } finally {
    await work.remove();
  }
}

async function inputOf(
  { upload, remote, dockerfileName, signal }: ClassicOrder,
  work: WorkDirectory,
): Promise<{ dockerfile: Uint8Array; context: FileSource }> {
  const directory = work.fresh("input");
  await mkdir(directory, { mode: 0o700 });
  // Clients leave out what is ignored, but for these, without which there would be nothing to read.
  const loaded = async (
    loading: ReturnType<typeof loadedContext>,
    name: string,
  ): Promise<{ dockerfile: Uint8Array; context: FileSource }> => {
    const { dockerfile, context, ignore } = await loading;
    const hidden = [".dockerignore", cleanPath(name)].filter((each) =>
      ignore.excludes(fromText(each)),
    );
    const rest = hidden.length === 0 ? context : withoutFiles(context, hidden, directory);
    return { dockerfile, context: rest };
  };
  const whole = (source: FileSource) =>
    loaded(loadedContext(source, directory, dockerfileName, signal), dockerfileName);
  if (isGit(remote)) return whole(new GitRepository(remote, false));
  if (isUrl(remote)) {
    const file = new UrlFile(remote, undefined);
    const name = UrlFile.nameOf(remote);
    return loaded(loadedFile(file, name, directory, dockerfileName, signal), dockerfileName);
  }
  if (remote !== "") {
    throw new BuildError(
      "BUILD_INPUT",
      `remote ${JSON.stringify(remote)} is neither a URL nor git`,
    );
  }
  const { head, whole: bytes } = await peek(upload);
  if (isArchiveHead(head) || head.every((byte) => byte === 0)) {
    return whole(new ArchiveContext(bytes));
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    length += chunk.length;
    if (length > DOCKERFILE_BYTES_MAX)
      throw new BuildError("BUILD_INPUT", "the Dockerfile is too long");
    chunks.push(chunk);
  }
  return { dockerfile: Buffer.concat(chunks), context: EMPTY_CONTEXT };
}

/** Errors are shown in red. */
const RED = "\u001b[91m";
const PLAIN = "\u001b[0m";

/** Instructions that tell by themselves whether they were done before, or have nothing to tell. */
const WITH_FILES: ReadonlySet<Instruction["kind"]> = new Set(["FROM", "RUN", "COPY", "ADD"]);

function listener(
  say: (text: string) => void,
  known: KnownSteps,
  useCache: boolean,
): InstructionListener {
  let running: string | undefined;
  let isTold = true;
  const run = (id: string) => {
    isTold = true;
    running = id.slice(0, SHORT_ID);
    say(` ---> Running in ${running}\n`);
  };
  return {
    begin: ({ kind, original }, index, total) => {
      isTold = WITH_FILES.has(kind);
      say(`Step ${index}/${total} : ${original}\n`);
    },
    triggers: (count) => {
      say(`# Executing ${count} build trigger${count === 1 ? "" : "s"}\n`);
    },
    usingCache: () => {
      isTold = true;
      say(" ---> Using cache\n");
    },
    running: run,
    log: (stream, bytes) => {
      const text = Buffer.from(bytes).toString("utf8");
      say(stream === 1 ? text : `${RED}${text}${PLAIN}`);
    },
    end: (id) => {
      if (!isTold) {
        if (useCache && known.has(id)) say(" ---> Using cache\n");
        else run(randomId());
        known.add(id);
      }
      if (running !== undefined) say(` ---> Removed intermediate container ${running}\n`);
      running = undefined;
      say(` ---> ${id.slice(0, SHORT_ID)}\n`);
    },
  };
}

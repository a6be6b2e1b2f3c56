import { posix } from "node:path";
import { type ByteString, fromText, toText } from "../../sentry/abi/bytes.ts";
import { absolutePath, baseName } from "../../sentry/archive/paths.ts";
import { FilesClient } from "../../sentry/container/files-client.ts";
import type { Container } from "../../sentry/container/record.ts";
import { decompress } from "../../sentry/image/decompress.ts";
import type { PathStat } from "../../sentry/spec.ts";
import { openContainers } from "../context.ts";
import { planCopy } from "../copy-plan.ts";
import { CliError, EXIT, usageError } from "../errors.ts";
import { HostTree, isDirectory } from "../host-tree.ts";
import type { Values } from "../option.ts";
import type { CP_OPTIONS } from "../options.ts";
import { size } from "../output.ts";
import type { Services } from "../services.ts";

type Options = Values<typeof CP_OPTIONS>;

/** Links to links that are looked at for what a path of a container is in the end. */
const OWN_STREAM = "-";

export async function main(
  values: Options,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const [source = "", target = ""] = operands;
  const [from, to] = [splitOperand(source), splitOperand(target)];
  if (from.container !== undefined && to.container !== undefined) {
    throw usageError("copying between containers is not supported");
  }
  const name = from.container ?? to.container;
  if (name === undefined) throw usageError("must specify at least one container source");
  const store = openContainers();
  const container = store.find(name);
  const files = new FilesClient(store, container, services.backgroundProgram);
  const copied =
    from.container === undefined
      ? await copyIn(files, container, from.path, to.path, values)
      : await copyOut(files, from.path, to.path, values);
  if (!values.quiet && copied !== undefined) {
    process.stderr.write(`Successfully copied ${size(copied)} to ${target}\n`);
  }
  return EXIT.ok;
}

/** `CONTAINER:PATH`, or a path here: what begins with a dot or a slash, or has no colon. */
function splitOperand(text: string): { readonly container?: string; readonly path: string } {
  const colon = text.indexOf(":");
  if (text === OWN_STREAM || /^[./]/.test(text) || colon < 0) return { path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** @returns how many bytes of tar went; undefined when they went to standard output. */
async function copyOut(
  files: FilesClient,
  from: string,
  to: string,
  values: Options,
): Promise<number | undefined> {
  let path = absolutePath(fromText(from));
  const followed = values["follow-link"] ? (await files.stat(path)).linkTarget : "";
  if (followed !== "") path = followed;
  if (to === OWN_STREAM) {
    if (process.stdout.isTTY) {
      throw usageError("cowardly refusing to write a tar to a terminal", "Redirect it");
    }
    const { tar } = await files.pack(path);
    for await (const bytes of tar) await written(bytes as Uint8Array);
    return undefined;
  }
  const host = new HostTree();
  const target = HostTree.path(to);
  const there = host.stat(target, true);
  const parent = host.stat(posix.dirname(target.replace(/(?:\/\.?)+$/, "") || "/"), true);
  if (parent === undefined) {
    throw new CliError(
      "NO_SUCH_DIRECTORY",
      `invalid output path: directory "${toText(posix.dirname(target))}" does not exist`,
    );
  }
  const { stat, tar } = await files.pack(path);
  try {
    const plan = planCopy(
      {
        path: followed === "" ? path : absolutePath(fromText(from)),
        isDirectory: isDirectory(stat),
      },
      { path: target, exists: there !== undefined, isDirectory: !!there && isDirectory(there) },
    );
    const from_ = baseName(path);
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const counted = countBytes(tar as AsyncIterable<Uint8Array>);
    const how = {
      noOverwriteDirNonDir: true,
      owner,
      rebase: { from: from_ === "/" ? "." : from_, to: plan.name === "/" ? "." : plan.name },
    };
    await host.unpack(plan.directory, how, counted.bytes);
    return counted.total();
  } finally {
    tar.destroy();
  }
}

async function copyIn(
  files: FilesClient,
  container: Container,
  from: string,
  to: string,
  values: Options,
): Promise<number> {
  const target = await targetIn(files, absolutePath(fromText(to)));
  const choice = {
    noOverwriteDirNonDir: true,
    ...(values.archive ? { owner: container.record.process.user } : {}),
  };
  if (from === OWN_STREAM) {
    if (!target.isDirectory) {
      throw new CliError(
        "NOT_A_DIRECTORY",
        `destination "${container.record.name}:${to}" must be a directory`,
      );
    }
    const counted = countBytes(process.stdin);
    await files.unpack(target.path, choice, decompress(counted.bytes, counted.total));
    return counted.total();
  }
  const host = new HostTree();
  const source = HostTree.path(from);
  const follow = values["follow-link"];
  const stat = host.stat(source, follow);
  if (stat === undefined) {
    throw new CliError("NO_SUCH_FILE", `lstat ${from}: no such file or directory`);
  }
  const plan = planCopy({ path: source, isDirectory: isDirectory(stat) }, target);
  const counted = countBytes(inPieces(host.pack(source, follow, plan.name)));
  await files.unpack(plan.directory, choice, counted.bytes);
  return counted.total();
}

/** What a path of the container is, after the link it may be. */
async function targetIn(files: FilesClient, path: ByteString) {
  const first = await statOrNothing(files, path);
  const at = first?.linkTarget === "" || first === undefined ? path : first.linkTarget;
  const stat = at === path ? first : await statOrNothing(files, at);
  return { path: at, exists: stat !== undefined, isDirectory: !!stat && isDirectory(stat) };
}

async function statOrNothing(files: FilesClient, path: ByteString): Promise<PathStat | undefined> {
  try {
    return await files.stat(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === "PATH_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Gives the event loop its turn between pieces. */
async function* inPieces(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}

function countBytes(source: AsyncIterable<Uint8Array>) {
  let total = 0;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      total += chunk.length;
      yield chunk;
    }
  }
  return { bytes: bytes(), total: () => total };
}

function written(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())),
  );
}

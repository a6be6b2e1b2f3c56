import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { close, pipe } from "../host/io.ts";
import type { FileChange, PathStat } from "../spec.ts";
import { ControlClient } from "./control-client.ts";
import type { Reply } from "./control-protocol.ts";
import { processEnvironment } from "./directories.ts";
import { ContainerError, ContainerFilesError } from "./errors.ts";
import type { FilesRequest } from "./files-protocol.ts";
import { CONTROL_SOCKET } from "./lifecycle.ts";
import { FILES_SOCKET } from "./opened-files.ts";
import type { Container } from "./record.ts";
import type { ContainerStore } from "./store.ts";

/** Descriptor of the opening process on which it says one line: nothing, or why it cannot. */
export const REPORT_FD = 3;
export const BUSY = "busy";
const REPORT_BYTES_MAX = 64 * 1024;
/** How long somebody may hold the container who neither runs it nor serves its files. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 5;

/** How archives are unpacked; see {@link import("../spec.ts").UnpackOptions}. */
export interface UnpackChoice {
  readonly noOverwriteDirNonDir: boolean;
  /** As `--user` has it: everything is to belong to him; absent: to whom the archive says. */
  readonly owner?: string | undefined;
}

/**
 * The files of one container, whatever its state: asked of its sentry when it runs, else of a process that
 * is started for it and opens it (see opened-files.ts). All methods throw {@link ContainerFilesError}, or
 * {@link ContainerError} when the container is gone or somebody else is busy with it.
 */
export class FilesClient {
  readonly #store: ContainerStore;
  readonly #id: string;
  readonly #program: string;

  /** @param program cli/ddcli-background.cjs. */
  constructor(store: ContainerStore, { record }: Container, program: string) {
    this.#store = store;
    this.#id = record.spec.id;
    this.#program = program;
  }

  async stat(path: ByteString): Promise<PathStat> {
    const client = await this.#connect();
    client.request({ op: "files-stat", path });
    return statOf(client, true);
  }

  /** What is at `path`, and a tar of it, to be read to its end or destroyed. */
  async pack(path: ByteString): Promise<{ readonly stat: PathStat; readonly tar: Readable }> {
    const { client, source } = await this.#ask({ op: "files-pack", path });
    try {
      return { stat: await statOf(client, false), tar: readableOf(client, source) };
    } catch (error) {
      source.destroy();
      throw error;
    }
  }

  /** Unpacks a tar, not compressed, into the directory `path`. Returns when all of it is there. */
  async unpack(
    path: ByteString,
    choice: UnpackChoice,
    tar: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const client = await this.#connect();
    const [readEnd, writeEnd] = pipeEnds();
    const { noOverwriteDirNonDir, owner } = choice;
    const request = { op: "files-unpack", path, noOverwriteDirNonDir } as const;
    client.request(owner === undefined ? request : { ...request, owner }, [readEnd]);
    close(readEnd);
    const sink = new Socket({ fd: writeEnd, readable: false, writable: true });
    const answered = client.next();
    // Whatever is wrong with the archive is what the other side says, which then stops reading.
    const sent = pipeline(tar, sink).then(
      () => undefined,
      (error: unknown) => error,
    );
    const first = await Promise.race([answered, sent]);
    if (first instanceof Error && !isClosedPipe(first)) {
      client.close();
      throw first;
    }
    try {
      expectDone(await answered);
    } finally {
      client.close();
      sink.destroy();
    }
  }

  async changes(): Promise<readonly FileChange[]> {
    const { client, source } = await this.#ask({ op: "files-changes" });
    const changes: FileChange[] = [];
    for await (const line of createInterface({ input: readableOf(client, source) })) {
      changes.push(JSON.parse(line) as FileChange);
    }
    return changes;
  }

  /** A tar of the whole root file system. */
  async export(): Promise<Readable> {
    const { client, source } = await this.#ask({ op: "files-export" });
    return readableOf(client, source);
  }

  /** A tar of what the container has changed, with whiteouts: the layer that `commit` adds. */
  async layer(): Promise<Readable> {
    const { client, source } = await this.#ask({ op: "files-layer" });
    return readableOf(client, source);
  }

  /** Asks for something that comes through a pipe. */
  async #ask(request: FilesRequest): Promise<{ client: ControlClient; source: Socket }> {
    const client = await this.#connect();
    const [readEnd, writeEnd] = pipeEnds();
    client.request(request, [writeEnd]);
    close(writeEnd);
    return { client, source: new Socket({ fd: readEnd, readable: true, writable: false }) };
  }

  /** Somebody who has the container's tree and has answered once: he stays while the connection does. */
  async #connect(): Promise<ControlClient> {
    const directory = this.#store.runDirectoryOf(this.#id);
    for (let waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
      const container = this.#store.read(this.#id);
      if (container === undefined) {
        throw new ContainerError("NO_SUCH_CONTAINER", `No such container: ${this.#id}`);
      }
      const { status } = container.state;
      const runs = status !== "created" && status !== "exited";
      const client = await greet(join(directory, runs ? CONTROL_SOCKET : FILES_SOCKET));
      if (client !== undefined) return client;
      if (!runs) await this.#open();
      else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    throw new ContainerError("CONTAINER_BUSY", `container ${this.#id.slice(0, 12)} is in use`);
  }

  /** Has the container opened by a process of its own, unless somebody else holds it just now. */
  async #open(): Promise<void> {
    const child = spawn(process.execPath, [this.#program, "--files", this.#id], {
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "pipe"],
      cwd: "/",
      env: processEnvironment(this.#store.directories),
    });
    const report = child.stdio[REPORT_FD] as Readable;
    let text = "";
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      report.on("close", () => resolve());
      report.on("data", (bytes: Buffer) => {
        text += bytes.toString("utf8");
        if (text.includes("\n") || text.length > REPORT_BYTES_MAX) resolve();
      });
    });
    report.destroy();
    child.unref();
    const line = text.split("\n")[0] ?? "";
    if (line === BUSY) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    else if (line !== "" || text === "") {
      const why = line === "" ? "its process ended at once" : line;
      throw new ContainerFilesError("FILES_FAILED", `The container cannot be opened: ${why}`);
    }
  }
}

/** A connection whose other side is there to stay; undefined when there is none. */
async function greet(path: string): Promise<ControlClient | undefined> {
  let client: ControlClient;
  try {
    client = ControlClient.ask(path, { op: "confinement" });
  } catch (error) {
    if (error instanceof ContainerError && error.code === "CONTAINER_NOT_RUNNING") return undefined;
    throw error;
  }
  const reply = await client.next();
  if (reply?.kind === "confinement") return client;
  client.close();
  return undefined;
}

function pipeEnds(): [number, number] {
  const ends = pipe(0);
  if (ends instanceof Errno) throw new Error(`A pipe for an archive failed: ${ends.text}`);
  return ends;
}

async function statOf(client: ControlClient, last: boolean): Promise<PathStat> {
  const reply = await client.next();
  if (last || reply?.kind !== "path") client.close();
  if (reply?.kind === "path") return reply.stat;
  throw refusal(reply);
}

/** What comes through the pipe; an end that was not meant to be one is an error. */
function readableOf(client: ControlClient, source: Socket): Readable {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield* source as AsyncIterable<Uint8Array>;
    expectDone(await client.next());
  }
  const readable = Readable.from(bytes(), { objectMode: false });
  readable.once("close", () => {
    source.destroy();
    client.close();
  });
  return readable;
}

function expectDone(reply: Reply | undefined): void {
  if (reply?.kind !== "done") throw refusal(reply);
}

function refusal(reply: Reply | undefined): Error {
  if (reply?.kind === "files-error") return new ContainerFilesError(reply.code, reply.message);
  return new ContainerFilesError(
    "FILES_FAILED",
    reply?.kind === "error" ? reply.message : "the container has ended",
  );
}

function isClosedPipe(error: Error & { code?: unknown }): boolean {
  return error.code === "EPIPE" || error.code === "ERR_STREAM_PREMATURE_CLOSE";
}

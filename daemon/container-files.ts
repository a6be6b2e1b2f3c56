import type { Readable } from "node:stream";
import type { ContainerFilesEngine, UnpackChoice } from "../api/engine/container-files.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { ApiError } from "../api/errors.ts";
import { fromText, toText } from "../sentry/abi/bytes.ts";
import { ContainerFilesError } from "../sentry/container/errors.ts";
import { FilesClient } from "../sentry/container/files-client.ts";
import type { Container } from "../sentry/container/record.ts";
import { decompress } from "../sentry/image/decompress.ts";
import { ImageError } from "../sentry/image/errors.ts";
import type { PathStat } from "../sentry/spec.ts";
import { attributesOf } from "./container/attributes.ts";
import type { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { refusing } from "./refusals.ts";

/** Docker's numbers for what `docker diff` shows as C, A and D. */
const KINDS = { modified: 0, added: 1, deleted: 2 } as const;

/** `docker cp`, `diff` and `export`. */
export class ContainerFiles implements ContainerFilesEngine {
  private readonly context: DaemonContext;
  private readonly containers: Pick<Containers, "find">;

  constructor(context: DaemonContext, containers: Pick<Containers, "find">) {
    this.context = context;
    this.containers = containers;
  }

  async stat(reference: string, path: string): Promise<JsonObject> {
    return this.with(reference, path, async (files) =>
      describe(await files.stat(fromText(absolute(path)))),
    );
  }

  async pack(reference: string, path: string): Promise<{ stat: JsonObject; tar: Readable }> {
    return this.with(reference, path, async (files, container) => {
      const { stat, tar } = await files.pack(fromText(absolute(path)));
      this.emit("archive-path", container);
      return { stat: describe(stat), tar };
    });
  }

  async unpack(
    reference: string,
    { path, noOverwriteDirNonDir, copyUidGid }: UnpackChoice,
    archive: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await this.with(reference, path, async (files, container) => {
      const owner = copyUidGid ? container.record.process.user : undefined;
      await files.unpack(
        fromText(absolute(path)),
        { noOverwriteDirNonDir, owner },
        decompressed(archive),
      );
      this.emit("extract-to-dir", container);
    });
  }

  async changes(reference: string): Promise<readonly JsonObject[] | null> {
    return this.with(reference, "/", async (files) => {
      const changes = await files.changes();
      if (changes.length === 0) return null;
      return changes.map(({ path, kind }) => ({ Path: toText(path), Kind: KINDS[kind] }));
    });
  }

  async export(reference: string): Promise<Readable> {
    return this.with(reference, "/", async (files, container) => {
      this.emit("export", container);
      return files.export();
    });
  }

  private emit(action: string, { record }: Container): void {
    this.context.events.emit("container", action, record.spec.id, attributesOf(record));
  }

  private async with<T>(
    reference: string,
    path: string,
    work: (files: FilesClient, container: Container) => Promise<T>,
  ): Promise<T> {
    const container = this.containers.find(reference);
    const { store, backgroundProgram } = this.context;
    const files = new FilesClient(store, container, backgroundProgram);
    try {
      return await refusing(reference, () => work(files, container));
    } catch (error) {
      throw filesRefusal(error, path, reference);
    }
  }
}

function filesRefusal(error: unknown, path: string, reference: string): unknown {
  if (error instanceof ImageError) return new ApiError("INVALID", error.message);
  if (!(error instanceof ContainerFilesError)) return error;
  switch (error.code) {
    case "PATH_NOT_FOUND":
      return new ApiError("NOT_FOUND", `Could not find the file ${path} in container ${reference}`);
    case "FILES_FAILED":
      return new ApiError("INTERNAL", error.message);
    default:
      return new ApiError("INVALID", error.message);
  }
}

function decompressed(archive: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let taken = 0;
  const counted = async function* () {
    for await (const bytes of archive) {
      taken += bytes.length;
      yield bytes;
    }
  };
  return decompress(counted(), () => taken);
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

function describe({ name, size, mode, mtime, linkTarget }: PathStat): JsonObject {
  return { name: toText(name), size, mode, mtime, linkTarget: toText(linkTarget) };
}

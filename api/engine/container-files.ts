import type { Readable } from "node:stream";
import type { JsonObject } from "./json.ts";

export interface UnpackChoice {
  readonly path: string;
  /** Refuse to replace a directory by something else, or the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  /** What is unpacked belongs to the user the container runs as. */
  readonly copyUidGid: boolean;
}

/** The files of containers, whether they run or not. */
export interface ContainerFilesEngine {
  /** @returns name, size, mode (Go's), mtime, linkTarget. */
  stat(reference: string, path: string): Promise<JsonObject>;
  pack(
    reference: string,
    path: string,
  ): Promise<{ readonly stat: JsonObject; readonly tar: Readable }>;
  /** @param archive a tar, perhaps compressed. Returns when all of it is there. */
  unpack(
    reference: string,
    choice: UnpackChoice,
    archive: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  /** @returns null where nothing differs from the image. */
  changes(reference: string): Promise<readonly JsonObject[] | null>;
  export(reference: string): Promise<Readable>;
}

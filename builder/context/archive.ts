import { writeLayer } from "../../sentry/image/layer-writer.ts";
import type { FileSource } from "../solve/request.ts";

/** A tar archive, perhaps compressed, as a context. It can be read once. */
export class ArchiveContext implements FileSource {
  readonly #archive: AsyncIterable<Uint8Array>;

  constructor(archive: AsyncIterable<Uint8Array>) {
    this.#archive = archive;
  }

  async load(directory: string): Promise<void> {
    await writeLayer(this.#archive, directory, { expected: { openEnd: true } });
  }
}

/** A context with nothing in it. */
export const EMPTY_CONTEXT: FileSource = {
  async load(directory) {
    await writeLayer(emptyArchive(), directory);
  },
};

/** An archive of nothing: its end. */
async function* emptyArchive(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1024);
}

import { mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fromText } from "../../sentry/abi/bytes.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import type { TarEntry } from "../../sentry/image/tar-reader.ts";
import { writeTar } from "../../sentry/image/tar-writer.ts";
import { BuildError } from "../errors.ts";
import { DOWNLOAD_BYTES_MAX } from "../limits.ts";
import { codec } from "../proto/messages.ts";
import type { FileSource } from "../solve/request.ts";
import type { ClientSession } from "./sessions.ts";

const BYTES = codec<{ readonly data: Uint8Array }>("BytesMessage");
const EMPTY = codec<object>("Empty");
const ADDRESS = /^https?:\/\/buildkit-session(\/[^?#]*)$/;

/** Whether a URL means something that the client sends by its session, such as its standard input. */
export function isSessionUpload(text: string): boolean {
  return ADDRESS.test(text);
}

/** What a client sends in place of a download, as the only file of a tree. */
export class SessionUpload implements FileSource {
  static readonly fileName = "upload";
  readonly #session: () => Promise<ClientSession>;
  readonly #path: string;

  /** @param url for which {@link isSessionUpload} holds */
  constructor(session: () => Promise<ClientSession>, url: string) {
    this.#session = session;
    this.#path = ADDRESS.exec(url)?.[1] ?? "/";
  }

  async load(directory: string): Promise<void> {
    const { client } = await this.#session();
    const temporary = `${directory}.upload`;
    await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
    const call = client.stream("/moby.upload.v1.Upload/Pull", EMPTY, BYTES, {
      urlpath: [this.#path],
      urlhost: ["buildkit-session"],
    });
    const file = await open(temporary, "wx+", 0o600);
    try {
      call.end();
      let size = 0;
      for await (const { data } of call.responses()) {
        size += data.length;
        if (size > DOWNLOAD_BYTES_MAX) {
          throw new BuildError(
            "BUILD_INPUT",
            `the context has more than ${DOWNLOAD_BYTES_MAX} bytes`,
          );
        }
        await file.write(data);
      }
      const entry: TarEntry = {
        path: fromText(SessionUpload.fileName),
        type: "file",
        mode: 0o600,
        size,
        ...{ uid: 0, gid: 0, mtime: 0n, link: "", major: 0, minor: 0, xattrs: new Map() },
      };
      const content = size === 0 ? [] : file.createReadStream({ start: 0, autoClose: false });
      await writeLayer(writeTar([{ entry, content }]), directory);
    } finally {
      call.cancel();
      await file.close();
      await rm(temporary, { force: true });
    }
  }
}

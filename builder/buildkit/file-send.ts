import { toText } from "../../sentry/abi/bytes.ts";
import type { TarMember } from "../../sentry/image/tar-writer.ts";
import { BuildError } from "../errors.ts";
import type { Conversation } from "../grpc/client.ts";
import { codec } from "../proto/messages.ts";
import { goMode, PACKET, PACKET_TYPE, type Packet } from "./file-sync.ts";
import type { ClientSession } from "./sessions.ts";

const PATH = "/moby.filesync.v1.FileSend/DiffCopy";
const BYTES = codec<{ readonly data: Uint8Array }>("BytesMessage");
const CHUNK_BYTES = 64 * 1024;

/** Sends an archive to the file, or the standard output, that the client has chosen. */
export async function sendArchive(
  { client }: ClientSession,
  archive: AsyncIterable<Uint8Array>,
): Promise<void> {
  const call = client.stream(PATH, BYTES, BYTES, {});
  try {
    for await (const bytes of archive) {
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        await call.send({ data: bytes.subarray(at, at + CHUNK_BYTES) });
      }
    }
    call.end();
    for await (const _ of call.responses());
  } finally {
    call.cancel();
  }
}

/** Sends files to the directory that the client has chosen: it is told of all, and asks for what it wants. */
export async function sendFiles(
  { client }: ClientSession,
  members: Iterable<TarMember>,
): Promise<void> {
  const call = client.stream(PATH, PACKET, PACKET, {});
  try {
    const all = [...members].sort((a, b) => (walkOrder(a) < walkOrder(b) ? -1 : 1));
    const done = answer(call, all);
    done.catch(() => undefined); // looked at below
    for (const { entry } of all) {
      const { path, type, mode, uid, gid, size, mtime, link, major, minor, xattrs } = entry;
      await call.send({
        type: PACKET_TYPE.STAT,
        stat: {
          path: toText(path),
          mode: goMode(type, mode),
          uid,
          gid,
          size: type === "symlink" ? link.length : size,
          modTime: Number(mtime),
          linkname: toText(link),
          devmajor: major,
          devminor: minor,
          xattrs: Object.fromEntries(xattrs),
        },
      });
    }
    await call.send({ type: PACKET_TYPE.STAT });
    await done;
  } finally {
    call.cancel();
  }
}

/** fsutil walks a directory's names in order, with the slash before everything else. */
function walkOrder({ entry }: TarMember): string {
  return entry.path.replaceAll("/", "\u0000");
}

async function answer(
  call: Conversation<Packet, Packet>,
  members: readonly TarMember[],
): Promise<void> {
  for await (const { type, ID, data } of call.responses()) {
    if (type === PACKET_TYPE.ERR) {
      throw new BuildError("BUILD_INPUT", `error from receiver: ${Buffer.from(data).toString()}`);
    }
    if (type === PACKET_TYPE.FIN) {
      await call.send({ type: PACKET_TYPE.FIN });
      call.end();
    } else if (type === PACKET_TYPE.REQ) {
      for await (const bytes of members[ID]?.content ?? []) {
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
          const part = bytes.subarray(at, at + CHUNK_BYTES);
          await call.send({ type: PACKET_TYPE.DATA, ID, data: part });
        }
      }
      await call.send({ type: PACKET_TYPE.DATA, ID });
    }
  }
}

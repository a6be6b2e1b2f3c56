import { fromText } from "../../sentry/abi/bytes.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import type { TarEntry, TarEntryType } from "../../sentry/image/tar-reader.ts";
import { type TarMember, writeTar } from "../../sentry/image/tar-writer.ts";
import { BuildError } from "../errors.ts";
import type { CallHeaders, Conversation } from "../grpc/client.ts";
import { COPY_ENTRIES_MAX } from "../limits.ts";
import { codec } from "../proto/messages.ts";
import type { VertexReport } from "../solve/progress.ts";
import type { FileSource } from "../solve/request.ts";
import type { ClientSession } from "./sessions.ts";

/** What is known of a file, as fsutil sends it: modes are Go's, times nanoseconds since the epoch. */
export interface FileStat {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly modTime: number;
  readonly linkname: string;
  readonly devmajor: number;
  readonly devminor: number;
  readonly xattrs: Readonly<Record<string, Uint8Array>>;
}

/** A message of fsutil's protocol, either way. */
export interface Packet {
  readonly type: number;
  readonly stat: FileStat | null;
  readonly ID: number;
  readonly data: Uint8Array;
}
export const PACKET = codec<Packet>("Packet");
export const PACKET_TYPE = { STAT: 0, REQ: 1, DATA: 2, FIN: 3, ERR: 4 } as const;

/** Go's os.FileMode: its type bits, and the three that Unix has among the permissions. */
export const GO_MODE = {
  directory: 0x80000000,
  symlink: 0x08000000,
  device: 0x04000000,
  pipe: 0x02000000,
  socket: 0x01000000,
  setuid: 0x00800000,
  setgid: 0x00400000,
  character: 0x00200000,
  sticky: 0x00100000,
} as const;
const TYPE_BITS = 0x8f280000;
/** Files whose content is asked for before it is needed, and the bytes of them. */
const AHEAD_FILES = 64;
const AHEAD_BYTES = 8 << 20;

/** How a client is to choose the files that it sends. */
export interface SyncOptions {
  /** Which of the client's directories. */
  readonly name: string;
  readonly includes?: readonly string[] | undefined;
  readonly excludes?: readonly string[] | undefined;
  /** Paths to send, with what symlinks in them lead to. */
  readonly follow?: readonly string[] | undefined;
}

/** A directory of a client's as a context. */
export class ClientDirectory implements FileSource {
  readonly #session: () => Promise<ClientSession>;
  readonly #options: SyncOptions;

  constructor(session: () => Promise<ClientSession>, options: SyncOptions) {
    this.#session = session;
    this.#options = options;
  }

  async load(
    directory: string,
    needed: readonly string[] | undefined,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = await this.#session();
    const everything = needed === undefined || needed.some((path) => /^[./]*$/.test(path));
    const follow = everything ? undefined : needed;
    const headers = headersOf({ follow, ...this.#options });
    const call = client.stream("/moby.filesync.v1.FileSync/DiffCopy", PACKET, PACKET, headers);
    const stop = () => call.cancel();
    signal.addEventListener("abort", stop);
    try {
      const receiver = new Receiver(call, `transferring ${this.#options.name}:`, report);
      await writeLayer(writeTar(receiver.members()), directory);
    } catch (error) {
      if (signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      call.cancel();
    }
  }
}

function headersOf({ name, includes, excludes, follow }: SyncOptions): CallHeaders {
  const headers: Record<string, readonly string[]> = {};
  const add = (key: string, values: readonly string[] | undefined) => {
    if (values === undefined || values.length === 0) return;
    const isPlain = values.every((value) => /^[\x20-\x7e]*$/.test(value));
    headers[key] = isPlain ? values : values.map(encodeURIComponent);
    if (!isPlain) headers[`${key}-encoded`] = ["1"];
  };
  add("dir-name", [name]);
  add("include-patterns", includes);
  add("exclude-patterns", excludes);
  add("followpaths", follow);
  return headers;
}

/** A file that was asked for, with what has come of it. */
interface Pending {
  readonly chunks: Uint8Array[];
  ended: boolean;
}

/** Takes files from a client: first it tells of all, then it is asked for their contents one after the other. */
class Receiver {
  readonly #call: Conversation<Packet, Packet>;
  readonly #packets: AsyncGenerator<Packet, void, void>;
  readonly #pending = new Map<number, Pending>();
  readonly #title: string;
  readonly #report: VertexReport;
  #received = 0;

  constructor(call: Conversation<Packet, Packet>, title: string, report: VertexReport) {
    this.#call = call;
    this.#packets = call.responses();
    this.#title = title;
    this.#report = report;
  }

  async *members(): AsyncGenerator<TarMember, void, void> {
    const stats = await this.#stats();
    const files = stats.flatMap((stat, id) => (hasContent(stat) ? [{ id, size: stat.size }] : []));
    let asked = 0;
    let ahead = 0;
    for (const [id, stat] of stats.entries()) {
      const entry = entryOf(stat);
      if (entry === undefined) continue;
      if (!hasContent(stat)) {
        yield { entry };
        continue;
      }
      for (let next = files[asked]; next !== undefined; next = files[asked]) {
        const isFull = this.#pending.size >= AHEAD_FILES || ahead + next.size > AHEAD_BYTES;
        if (next.id > id && isFull) break;
        this.#pending.set(next.id, { chunks: [], ended: false });
        ahead += next.size;
        asked++;
        await this.#call.send({ type: PACKET_TYPE.REQ, ID: next.id });
      }
      yield { entry, content: this.#content(id, entry.size) };
      ahead -= stat.size;
    }
    await this.#call.send({ type: PACKET_TYPE.FIN });
    this.#call.end();
    this.#report.advance(this.#title, this.#received, this.#received);
  }

  async #stats(): Promise<readonly FileStat[]> {
    const stats: FileStat[] = [];
    for (let packet = await this.#next(); ; packet = await this.#next()) {
      if (packet.type !== PACKET_TYPE.STAT) continue;
      if (packet.stat === null || packet.stat.path === "") return stats;
      if (stats.length >= COPY_ENTRIES_MAX) {
        throw new BuildError("BUILD_INPUT", `the context has more than ${COPY_ENTRIES_MAX} files`);
      }
      stats.push(packet.stat);
    }
  }

  async #next(): Promise<Packet> {
    const next = await this.#packets.next();
    if (next.done === true)
      throw new BuildError("BUILD_INPUT", "the client sent no end of its files");
    const packet = next.value;
    if (packet.type === PACKET_TYPE.ERR) {
      throw new BuildError(
        "BUILD_INPUT",
        `error from sender: ${Buffer.from(packet.data).toString()}`,
      );
    }
    return packet;
  }

  /** Exactly `size` bytes, whatever has become of the file since it was told of. */
  async *#content(id: number, size: number): AsyncGenerator<Uint8Array, void, void> {
    const pending = this.#pending.get(id);
    if (pending === undefined) throw new Error("The content of a file that was not asked for");
    let left = size;
    while (left > 0) {
      const chunk = pending.chunks.shift();
      if (chunk !== undefined) {
        const taken = chunk.subarray(0, left);
        left -= taken.length;
        yield taken;
      } else if (pending.ended) {
        yield new Uint8Array(Math.min(left, AHEAD_BYTES));
        left -= Math.min(left, AHEAD_BYTES);
      } else await this.#take();
    }
    while (!pending.ended) await this.#take();
    this.#pending.delete(id);
  }

  async #take(): Promise<void> {
    const { type, ID, data } = await this.#next();
    if (type !== PACKET_TYPE.DATA) return;
    const pending = this.#pending.get(ID);
    if (pending === undefined)
      throw new BuildError("BUILD_INPUT", `data of file ${ID} unasked for`);
    this.#received += data.length;
    this.#report.advance(this.#title, this.#received, 0);
    if (data.length === 0) pending.ended = true;
    else pending.chunks.push(data);
  }
}

function hasContent({ mode, linkname }: FileStat): boolean {
  return (mode & TYPE_BITS) === 0 && linkname === "";
}

/** What a client tells of a file, as a member of an archive; everything belongs to root. */
function entryOf(stat: FileStat): TarEntry | undefined {
  const { mode } = stat;
  const bits = mode & TYPE_BITS;
  const type: TarEntryType | undefined =
    bits === 0
      ? stat.linkname === ""
        ? "file"
        : "hardlink"
      : bits === (GO_MODE.directory | 0)
        ? "directory"
        : bits === GO_MODE.symlink
          ? "symlink"
          : undefined;
  // Devices, pipes and sockets are no part of a context.
  if (type === undefined) return undefined;
  return {
    path: fromText(stat.path.replaceAll("\\", "/")),
    type,
    mode: unixMode(mode),
    uid: 0,
    gid: 0,
    size: type === "file" ? Math.max(0, stat.size) : 0,
    mtime: BigInt(Math.trunc(stat.modTime)),
    link: type === "file" || type === "directory" ? "" : fromText(stat.linkname),
    major: 0,
    minor: 0,
    xattrs: new Map(),
  };
}

function unixMode(mode: number): number {
  return (
    (mode & 0o777) |
    ((mode & GO_MODE.setuid) !== 0 ? 0o4000 : 0) |
    ((mode & GO_MODE.setgid) !== 0 ? 0o2000 : 0) |
    ((mode & GO_MODE.sticky) !== 0 ? 0o1000 : 0)
  );
}

/** A mode of Unix as Go writes it. */
export function goMode(type: TarEntryType, mode: number): number {
  const bits = {
    file: 0,
    hardlink: 0,
    directory: GO_MODE.directory,
    symlink: GO_MODE.symlink,
    fifo: GO_MODE.pipe,
    character: GO_MODE.device | GO_MODE.character,
    block: GO_MODE.device,
  }[type];
  return (
    (bits |
      (mode & 0o777) |
      ((mode & 0o4000) !== 0 ? GO_MODE.setuid : 0) |
      ((mode & 0o2000) !== 0 ? GO_MODE.setgid : 0) |
      ((mode & 0o1000) !== 0 ? GO_MODE.sticky : 0)) >>>
    0
  );
}

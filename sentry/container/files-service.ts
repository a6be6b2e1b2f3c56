/** Answers what is asked of a container's files: archives go in and out through pipes of whoever asks. */
import { Socket } from "node:net";
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { close, O_NONBLOCK, setStatusFlags, statusFlags, writeBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import type { ContainerFiles, FilesErrorCode, SentryContainer } from "../spec.ts";
import type { Reply } from "./control-protocol.ts";
import type { FilesRequest } from "./files-protocol.ts";
import { ACCOUNT_FILE_BYTES_MAX, resolveUser } from "./user.ts";

const POLLOUT = 0x4;
/** Bytes that go out before the guest's calls are looked at again. */
const TURN_BYTES = 256 * 1024;

/** Something on its way, which ends early when nobody wants it any more. */
export interface Transfer {
  cancel(): void;
}

/**
 * Carries out a request.
 * @param pipe the descriptor sent along, owned; -1 when none is needed.
 * @param reply called with each answer, the last one when everything is over.
 */
export function serveFiles(
  { files, reactor }: Pick<SentryContainer, "files" | "reactor">,
  request: FilesRequest,
  pipe: number,
  reply: (reply: Reply) => void,
): Transfer | undefined {
  const end = (error?: unknown): void =>
    reply(error === undefined ? { kind: "done" } : failure(error));
  try {
    switch (request.op) {
      case "files-stat":
        reply({ kind: "path", stat: files.stat(request.path) });
        return undefined;
      case "files-pack": {
        const stat = files.stat(request.path);
        const chunks = files.pack(request.path);
        reply({ kind: "path", stat });
        return new Sender(reactor, pipe, chunks, end);
      }
      case "files-unpack":
        return receive(files, reactor, request, pipe, end);
      case "files-changes":
        return new Sender(reactor, pipe, jsonLines(files.changes()), end);
      case "files-export":
        return new Sender(reactor, pipe, files.export(), end);
      case "files-layer":
        return new Sender(reactor, pipe, files.layer(), end);
    }
  } catch (error) {
    if (pipe >= 0) close(pipe);
    end(error);
    return undefined;
  }
}

function* jsonLines(values: Iterable<unknown>): Generator<Uint8Array> {
  for (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`, "utf8");
}

/** What went wrong, for whoever asked. A defect of ours costs him his archive, not the container. */
function failure(error: unknown): Reply {
  const { code, message, stack } = error as Error & { code?: unknown };
  return CODES.has(code)
    ? { kind: "files-error", code: code as FilesErrorCode, message }
    : { kind: "files-error", code: "FILES_FAILED", message: `defect in dd: ${stack ?? message}` };
}

const CODES: ReadonlySet<unknown> = new Set<FilesErrorCode>([
  "PATH_NOT_FOUND",
  "PATH_INVALID",
  "ROOT_READ_ONLY",
  "VOLUME_READ_ONLY",
  "CANNOT_OVERWRITE",
  "ARCHIVE_ESCAPES",
  "BAD_ARCHIVE",
  "FILES_FAILED",
]);

/** Writes pieces to a pipe at the pace of who reads it, a bounded number of bytes per turn of the loop. */
class Sender implements Transfer {
  readonly #fd: number;
  readonly #chunks: Iterator<Uint8Array>;
  readonly #end: (error?: unknown) => void;
  readonly #watch: Watch;
  #pending: Uint8Array = new Uint8Array(0);
  #open = true;

  constructor(
    reactor: Reactor,
    fd: number,
    chunks: Iterable<Uint8Array>,
    end: (error?: unknown) => void,
  ) {
    this.#fd = fd;
    this.#chunks = chunks[Symbol.iterator]();
    this.#end = end;
    const flags = statusFlags(fd);
    if (typeof flags === "number") setStatusFlags(fd, flags | O_NONBLOCK);
    this.#watch = reactor.watch(fd, POLLOUT, () => this.#turn());
  }

  cancel(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#chunks.return?.();
    this.#watch.close();
    close(this.#fd);
  }

  #turn(): void {
    try {
      for (let sent = 0; sent < TURN_BYTES; ) {
        if (this.#pending.length === 0) {
          const next = this.#chunks.next();
          if (next.done === true) {
            this.#finish(undefined);
            return;
          }
          this.#pending = next.value;
          continue;
        }
        const count = writeBytes(this.#fd, this.#pending);
        if (count === EAGAIN || count === EINTR) return;
        if (count instanceof Errno) {
          // Who reads has gone away: nobody is left to be told.
          this.cancel();
          return;
        }
        sent += count;
        this.#pending = this.#pending.subarray(count);
      }
    } catch (error) {
      this.#finish(error);
    }
  }

  #finish(error: unknown): void {
    if (!this.#open) return;
    this.cancel();
    this.#end(error);
  }
}

function receive(
  files: ContainerFiles,
  reactor: Reactor,
  request: FilesRequest & { readonly op: "files-unpack" },
  pipe: number,
  end: (error?: unknown) => void,
): Transfer {
  // Node's own stream: the reader of archives waits for its source.
  const source = new Socket({ fd: pipe, readable: true, writable: false });
  const share = reactor.shareWithNode();
  let cancelled = false;
  const { noOverwriteDirNonDir } = request;
  const unpacked = async (): Promise<void> => {
    const owner = request.owner === undefined ? undefined : ownerOf(files, request.owner);
    await files.unpack(request.path, { noOverwriteDirNonDir, owner }, source);
  };
  unpacked()
    .then(
      () => end(),
      (error: unknown) => {
        if (!cancelled) end(error);
      },
    )
    .finally(() => {
      source.destroy();
      share.close();
    });
  return {
    cancel: () => {
      cancelled = true;
      source.destroy(new Error("Whoever sent the archive has gone away"));
    },
  };
}

function ownerOf(files: ContainerFiles, user: string): { uid: number; gid: number } | undefined {
  // As docker: an image without a user leaves everything to whom the archive says.
  if (user === "") return undefined;
  const [passwd, group] = ["/etc/passwd", "/etc/group"].map((path) => {
    const content = files.read(path, ACCOUNT_FILE_BYTES_MAX);
    return content instanceof Errno ? new Uint8Array(0) : content;
  });
  return resolveUser(user, passwd ?? new Uint8Array(0), group ?? new Uint8Array(0));
}

/** The process that translates: see guest/launcher/ahead.h. */
import { AheadRequest } from "../../ring/layout.ts";
import { native } from "../../ring/native.ts";
import { Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import { closeFd, readFully, statFd, writeFully } from "../host/fs.ts";
import { memfd } from "../host/memfd.ts";
import type { Source } from "./store-file.ts";

const STDERR = 2;
/** `kStoredBytesMax` in guest/exec/stored.h. */
const MADE_MAX = 64 << 20;

/** A process at work. */
export interface Making {
  /** What it has made, when it has ended; undefined when it could not. */
  wait(): Uint8Array | undefined;
}

/** Has `program` translate what is at `pcs` in `source`. Undefined when the host refuses. */
export function startMaking(
  program: string,
  source: Source,
  pcs: readonly number[],
): Making | undefined {
  const request = memfd("dd-translate", false);
  const made = memfd("dd-translated", false);
  const fds = [request, made].filter((fd) => !(fd instanceof Errno)) as number[];
  const close = () => {
    for (const fd of fds.splice(0)) closeFd(fd);
  };
  if (request instanceof Errno || made instanceof Errno) {
    close();
    return undefined;
  }
  const bytes = new Uint8Array(AheadRequest.size + 4 * pcs.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(AheadRequest.offset, BigInt(source.offset), true);
  view.setBigUint64(AheadRequest.length, BigInt(source.size), true);
  view.setBigUint64(AheadRequest.pcCount, BigInt(pcs.length), true);
  for (const [i, pc] of pcs.entries()) view.setUint32(AheadRequest.size + 4 * i, pc, true);
  const failed = writeFully(request, bytes, 0);
  const pid =
    failed instanceof Errno
      ? -1
      : native.spawnLauncher(program, "ahead", STDERR, Int32Array.of(source.fd, request, made));
  if (pid < 0) {
    close();
    return undefined;
  }
  return {
    wait() {
      const status = new Int32Array(1);
      const ended = call("wait4", pid, status, 0, null);
      const stat = statFd(made);
      const good =
        ended === pid && status[0] === 0 && !(stat instanceof Errno) && stat.size <= MADE_MAX;
      const result = good ? readFully(made, 0, stat.size) : undefined;
      close();
      return result instanceof Errno ? undefined : result;
    },
  };
}

import type { Socket } from "node:net";
import { Errno } from "../sentry/abi/errno.ts";
import { call } from "../sentry/host/call.ts";

/** Bytes written to a socket that its reader has not taken; see unix(7), SIOCOUTQ. */
const SIOCOUTQ = 0x5411;
const POLL_MS = 1;
/** A client that does not read for so long is not waited for. */
const PATIENCE_MS = 250;

/** Waits until the client on the other end of a local socket has read everything that was written. */
export async function untilTaken(socket: Socket): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (!socket.destroyed && untaken(socket) > 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function untaken(socket: Socket): number {
  // Node tells nobody a socket's descriptor but its own handle.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  if (handle?.fd === undefined || handle.fd < 0) return 0;
  const word = Buffer.alloc(8);
  const result = call("ioctl", handle.fd, SIOCOUTQ, word);
  return result instanceof Errno ? 0 : word.readInt32LE(0);
}

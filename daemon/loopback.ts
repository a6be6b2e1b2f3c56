import { randomBytes, timingSafeEqual } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, Server } from "node:http";
import { join } from "node:path";
import { ApiError } from "../api/errors.ts";
import type { Directories } from "../sentry/container/directories.ts";
import { DaemonError } from "./errors.ts";

/** Where a client of the loopback address finds what it has to send. */
const TOKEN_FILE = "daemon.token";
const TOKEN_BYTES = 32;
const LOOPBACK = "127.0.0.1";
/** Names of this machine; another one means that somebody's DNS points here. */
const HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
const BEARER = /^Bearer (\S+)$/;

/**
 * A guard for listeners that every user and every web page of this machine can reach: the token of the file
 * `daemon.token` has to be sent, and nothing a browser sends for a page of another site is let in.
 */
export function loopbackGuard(directories: Directories): (request: IncomingMessage) => void {
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  writeFileSync(join(directories.run, TOKEN_FILE), `${token}\n`, { mode: 0o600 });
  const wanted = Buffer.from(token);
  return ({ headers }) => {
    const site = headers["sec-fetch-site"];
    const isForeign = headers.origin !== undefined || (site !== undefined && site !== "none");
    if (isForeign || !HOST.test(headers.host ?? "")) throw new ApiError("CROSS_SITE");
    const given = Buffer.from(BEARER.exec(headers.authorization ?? "")?.[1] ?? "");
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
      throw new ApiError("UNAUTHORIZED");
    }
  };
}

/** @throws {DaemonError} `LISTEN_FAILED`. */
export function listenOnLoopback(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new DaemonError("LISTEN_FAILED", `Listening on port ${port}: ${error.message}`));
    });
    server.listen({ host: LOOPBACK, port }, () => resolve());
  });
}

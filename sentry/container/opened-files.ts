/** The process that has a container open which does not run, for as long as somebody wants its files. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ProcessHandle, SentryConstructor } from "../spec.ts";
import { ControlServer } from "./control-server.ts";
import type { ContainerStore } from "./store.ts";

/** The control socket of a container that is only opened. */
export const FILES_SOCKET = "files.sock";

/** How long whoever had the container opened may take to say what he wants. */
const FIRST_CLIENT_NS = 10_000_000_000n;

/** Of a container that does not run. */
const NO_PROCESS: ProcessHandle = {
  pid: 0,
  terminal: undefined,
  signal: () => {},
  resize: () => {},
  onExit: () => {},
};

/**
 * Takes hold of a container, opens its tree and answers requests for its files until the last client has
 * gone; then lets go of it.
 * @param Opened sentry/opened-container.ts.
 * @param onEnd called when it has let go.
 * @returns false when somebody else holds the container.
 * @throws when it cannot be opened; nobody then holds it.
 */
export function serveOpenedFiles(
  store: ContainerStore,
  id: string,
  Opened: SentryConstructor,
  onEnd: () => void,
): boolean {
  const held = store.tryHold(id);
  if (held === undefined) return false;
  try {
    mkdirSync(held.runDirectory, { recursive: true, mode: 0o700 });
    const container = new Opened(held.record.spec, { log: () => {} });
    let ended = false;
    const end = (): void => {
      // Whoever came just now is served; those who come later open the container anew.
      if (ended || server.admitLast()) return;
      ended = true;
      server.finish({ code: 0 });
      container.close();
      rmSync(held.runDirectory, { recursive: true, force: true });
      held.release();
      onEnd();
    };
    const path = join(held.runDirectory, FILES_SOCKET);
    // One that was killed has left its socket behind.
    rmSync(path, { force: true });
    const server = new ControlServer(path, {
      sentry: container,
      main: NO_PROCESS,
      streams: { join: () => false },
      willStop: () => {},
      idle: end,
    });
    const { reactor } = container;
    reactor.at(reactor.now() + FIRST_CLIENT_NS, () => {
      if (server.isIdle) end();
    });
    return true;
  } catch (error) {
    rmSync(held.runDirectory, { recursive: true, force: true });
    held.release();
    throw error;
  }
}

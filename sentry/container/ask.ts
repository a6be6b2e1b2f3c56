import { join } from "node:path";
import { ControlClient } from "./control-client.ts";
import type { Reply, Request } from "./control-protocol.ts";
import { ContainerError } from "./errors.ts";
import { CONTROL_SOCKET } from "./lifecycle.ts";
import type { Container } from "./record.ts";
import type { ContainerStore, HeldContainer } from "./store.ts";

const POLL_MS = 3;
/** A sentry that has answered "exited" only has to leave. */
const LEAVE_MS_MAX = 10_000;

/** Asks a running container. @throws {ContainerError} `CONTAINER_NOT_RUNNING` with its name. */
export function ask(
  store: ContainerStore,
  { record, state }: Container,
  request: Request,
  descriptors: readonly number[] = [],
): ControlClient {
  if (state.status !== "running") throw notRunning(record.name);
  const path = join(store.runDirectoryOf(record.spec.id), CONTROL_SOCKET);
  try {
    return ControlClient.ask(path, request, descriptors);
  } catch (error) {
    if (error instanceof ContainerError && error.code === "CONTAINER_NOT_RUNNING") {
      throw notRunning(record.name);
    }
    throw error;
  }
}

function notRunning(name: string): ContainerError {
  return new ContainerError(
    "CONTAINER_NOT_RUNNING",
    `container ${name} is not running`,
    `Start it with "ddcli start ${name}"`,
  );
}

/** One question with one answer. @throws {ContainerError} `CONTROL_FAILED` when the sentry refuses or goes away. */
export async function askOnce<Kind extends Reply["kind"]>(
  store: ContainerStore,
  container: Container,
  request: Request,
  kind: Kind,
): Promise<Extract<Reply, { kind: Kind }>> {
  const client = ask(store, container, request);
  const reply = await client.next();
  client.close();
  if (reply?.kind === kind) return reply as Extract<Reply, { kind: Kind }>;
  throw new ContainerError(
    "CONTROL_FAILED",
    reply?.kind === "error" ? reply.message : `container ${container.record.name} went away`,
  );
}

/** Waits until a container that is ending has been let go of by its sentry. */
export async function untilFree(store: ContainerStore, id: string): Promise<void> {
  for (let waited = 0; store.isHeld(id) && waited < LEAVE_MS_MAX; waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Sends a container a signal, and SIGKILL when it has not ended after a while. Returns when it has ended.
 * @param keep it is to run again: it stays although it was to be removed at its end.
 */
export async function stopContainer(
  store: ContainerStore,
  container: Container,
  signo: number,
  timeoutMs: number,
  keep = false,
): Promise<void> {
  const { id } = container.record.spec;
  let client: ControlClient;
  try {
    client = ask(store, container, { op: "stop", signo, timeoutMs, keep });
  } catch (error) {
    if (error instanceof ContainerError && error.code === "CONTAINER_NOT_RUNNING") return;
    throw error;
  }
  await client.next();
  client.close();
  await untilFree(store, id);
}

/**
 * Takes hold of a container that is not running, waiting for whoever is just starting or ending it.
 * @throws {ContainerError} `CONTAINER_BUSY` when that takes too long, `NO_SUCH_CONTAINER`.
 */
export async function hold(store: ContainerStore, container: Container): Promise<HeldContainer> {
  const { id } = container.record.spec;
  for (let waited = 0; waited < LEAVE_MS_MAX; waited += POLL_MS) {
    const held = store.tryHold(id);
    if (held !== undefined) return held;
    if (store.read(id)?.state.status === "running") break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new ContainerError("CONTAINER_BUSY", `container ${container.record.name} is in use`);
}

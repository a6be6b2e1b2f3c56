/** Changes of a container that was made already, whether it runs or not. */
import { ask, hold } from "./ask.ts";
import { ContainerError } from "./errors.ts";
import { checkName } from "./names.ts";
import type { Container } from "./record.ts";
import { type RecordUpdate, updatedRecord } from "./record-update.ts";
import type { ContainerStore, HeldContainer } from "./store.ts";

/**
 * Gives a container another name, whether it runs or not.
 * @throws {ContainerError} `INVALID_NAME`, `NAME_IN_USE`, `NO_SUCH_CONTAINER`, `CONTAINER_BUSY`.
 */
export async function renameContainer(
  store: ContainerStore,
  container: Container,
  name: string,
): Promise<void> {
  checkName("container", name);
  await changeHeld(store, container, { op: "rename", name }, (held) => {
    store.rename(held, name);
    return [];
  });
}

/**
 * Changes a container's limits and policy, whether it runs or not.
 * @returns which limits hold only from its next start on, in a sentence each.
 */
export function updateContainer(
  store: ContainerStore,
  container: Container,
  update: RecordUpdate,
): Promise<readonly string[]> {
  return changeHeld(store, container, { op: "update", update }, (held) => {
    held.setRecord(updatedRecord(held.record, update));
    return [];
  });
}

/** Has whoever holds the container change it; holds it ourselves when it does not run. */
async function changeHeld(
  store: ContainerStore,
  container: Container,
  request:
    | { readonly op: "rename"; readonly name: string }
    | { readonly op: "update"; readonly update: RecordUpdate },
  change: (held: HeldContainer) => readonly string[],
): Promise<readonly string[]> {
  if (container.state.status === "running") {
    const client = ask(store, container, request);
    const reply = await client.next();
    client.close();
    if (reply?.kind === "changed") return reply.late;
    if (reply?.kind === "error") {
      throw new ContainerError(
        reply.code === "NAME_IN_USE" ? "NAME_IN_USE" : "CONTROL_FAILED",
        reply.message,
      );
    }
    // It has ended meanwhile: then nobody holds it soon.
  }
  const held = await hold(store, container);
  try {
    return change(held);
  } finally {
    held.release();
  }
}

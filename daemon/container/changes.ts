/** What is done to a container that stays: pause, rename, update. */
import type { JsonObject } from "../../api/engine/json.ts";
import { ApiError } from "../../api/errors.ts";
import type { UpdateBody } from "../../api/routes/container-bodies.ts";
import { ask } from "../../sentry/container/ask.ts";
import {
  wantedNetworks,
  withoutLink,
  writeWanted,
} from "../../sentry/container/network/container-networks.ts";
import { DEFAULT_NETWORK } from "../../sentry/container/network/network-record.ts";
import type { Container } from "../../sentry/container/record.ts";
import { renameContainer, updateContainer } from "../../sentry/container/record-changes.ts";
import type { RecordUpdate } from "../../sentry/container/record-update.ts";
import type { DaemonContext } from "../context.ts";
import { refusing } from "../refusals.ts";
import { attributesOf } from "./attributes.ts";
import { restartPolicy } from "./create.ts";
import { limitsOf } from "./limits.ts";

/** Freezes a container's processes, or lets them go on. @throws {ApiError} when they are so already. */
export async function setPaused(
  { store, events }: DaemonContext,
  container: Container,
  paused: boolean,
): Promise<void> {
  const { record, state } = container;
  const { id } = record.spec;
  if (state.status !== "running") {
    throw new ApiError(paused ? "NOT_RUNNING" : "NOT_PAUSED", id);
  }
  const client = refusing(id, () => ask(store, container, { op: paused ? "pause" : "unpause" }));
  const reply = await client.next();
  client.close();
  if (reply === undefined) throw new ApiError("NOT_RUNNING", id);
  if (reply.kind !== "done") throw new ApiError(paused ? "ALREADY_PAUSED" : "NOT_PAUSED", id);
  events.emit("container", paused ? "pause" : "unpause", id, attributesOf(record));
}

export async function rename(
  { store, events }: DaemonContext,
  container: Container,
  name: string,
): Promise<void> {
  const { record } = container;
  if (name === "") throw new ApiError("INVALID", "Neither old nor new names may be empty");
  if (name === record.name) {
    const why = "Renaming a container with the same name as its current name";
    throw new ApiError("INVALID", why);
  }
  await refusing(name, () => renameContainer(store, container, name));
  events.emit("container", "rename", record.spec.id, {
    ...attributesOf(record),
    name,
    oldName: `/${record.name}`,
  });
}

/** A running container knows the other by that name until it ends. @throws {ApiError} `NO_SUCH_CONTAINER`. */
export function removeLink(
  { store, networks }: DaemonContext,
  { record }: Container,
  alias: string,
): void {
  const directory = store.directoryOf(record.spec.id);
  const bridge = networks.find(DEFAULT_NETWORK);
  const rest = withoutLink(wantedNetworks({ record, directory }), bridge, alias);
  if (rest === undefined) throw new ApiError("NO_SUCH_CONTAINER", `${record.name}/${alias}`);
  writeWanted(directory, rest);
}

/** @returns docker's answer: what could not be done as asked. */
export async function update(
  { store, events }: DaemonContext,
  container: Container,
  body: UpdateBody,
): Promise<JsonObject> {
  const { record } = container;
  const { id } = record.spec;
  const { RestartPolicy, ...resources } = body;
  if (RestartPolicy?.Name && record.autoRemove) {
    throw new ApiError(
      "CONFLICT",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  const warnings: string[] = [];
  const { memoryBytes, pids, cpus } = limitsOf(resources, warnings);
  const change: RecordUpdate = {
    limits: {
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(pids === undefined ? {} : { pids }),
      ...(cpus === undefined ? {} : { cpus }),
    },
    ...(RestartPolicy?.Name
      ? { restart: restartPolicy({ RestartPolicy, AutoRemove: false }) ?? null }
      : {}),
    // What is zero or missing was not given.
    hostConfig: Object.fromEntries(Object.entries(resources).filter(([, value]) => value)),
  };
  const late = await refusing(id, () => updateContainer(store, container, change));
  events.emit("container", "update", id, attributesOf(record));
  return { Warnings: [...warnings, ...late] };
}

import { toText } from "../../sentry/abi/bytes.ts";
import { writtenBytes } from "../../sentry/container/disk-usage.ts";
import type { Container, ContainerState } from "../../sentry/container/record.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel, type Matchers } from "../filter.ts";
import type { Values } from "../option.ts";
import type { PS_OPTIONS } from "../options.ts";
import { duration, printRows, type Row, size } from "../output.ts";

const COMMAND_LENGTH_MAX = 20;
const SHORT_ID = 12;

const COLUMNS = [
  ["CONTAINER ID", "ID"],
  ["IMAGE", "Image"],
  ["COMMAND", "Command"],
  ["CREATED", "RunningFor"],
  ["STATUS", "Status"],
  ["MODE", "Mode"],
  ["NAMES", "Names"],
] as const;
const SIZE = ["SIZE", "Size"] as const;

const MATCHERS: Matchers<Container> = {
  id: ({ record }, value) => record.spec.id.startsWith(value),
  name: ({ record }, value) => record.name.includes(value),
  label: ({ record }, value) => hasLabel(record.labels, value),
  status: ({ state }, value) => state.status === value,
  ancestor: ({ record }, value) => record.imageName === value || record.spec.rootfs.image === value,
  mode: ({ record }, value) => record.spec.mode === value,
};

export function main(values: Values<typeof PS_OPTIONS>): number {
  const store = openContainers();
  const all = store.list();
  const askedForStatus = values.filter.some((filter) => filter.startsWith("status="));
  const shown = values.latest
    ? all.slice(0, 1)
    : all.filter(({ state }) => values.all || askedForStatus || state.status === "running");
  const rows = applyFilters(shown, values.filter, MATCHERS).map(
    (container): Row => ({
      ...rowOf(container, values["no-trunc"]),
      ...(values.size ? { Size: size(writtenBytes(store, container.record.spec.id)) } : {}),
    }),
  );
  if (values.quiet) {
    for (const row of rows) process.stdout.write(`${row["ID"]}\n`);
  } else {
    printRows(rows, values.size ? [...COLUMNS, SIZE] : COLUMNS, values);
  }
  return EXIT.ok;
}

function rowOf({ record, state }: Container, whole: boolean): Row {
  const command = record.process.argv.map(toText).join(" ");
  return {
    ID: whole ? record.spec.id : record.spec.id.slice(0, SHORT_ID),
    Image: record.imageName,
    Command: `"${
      whole || command.length <= COMMAND_LENGTH_MAX
        ? command
        : `${command.slice(0, COMMAND_LENGTH_MAX - 1)}…`
    }"`,
    CreatedAt: new Date(record.createdAt).toISOString(),
    RunningFor: `${duration(Date.now() - record.createdAt)} ago`,
    State: state.status,
    Status: statusOf(state),
    Mode: record.spec.mode,
    Names: record.name,
    Labels: Object.entries(record.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Mounts: record.spec.mounts.map((mount) => toText(mount.target)).join(","),
    Networks: record.spec.network.mode,
    Ports: "",
  };
}

function statusOf(state: ContainerState): string {
  switch (state.status) {
    case "created":
      return "Created";
    case "running":
      return `Up ${duration(Date.now() - state.startedAt)}${state.paused === true ? " (Paused)" : ""}`;
    case "exited":
      return `Exited (${state.exitCode}) ${duration(Date.now() - state.finishedAt)} ago`;
  }
}

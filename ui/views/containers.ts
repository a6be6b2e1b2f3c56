import { confirmThen } from "../dialog.ts";
import { badge, button, complain, element } from "../dom.ts";
import {
  type ContainerSummary,
  cpuPercent,
  get,
  nameOf,
  part,
  post,
  remove,
  type Stats,
} from "../engine.ts";
import { bytes, plain, shortId } from "../format.ts";
import { type End, follow, pour } from "../live.ts";
import { jsonLines } from "../stream.ts";
import { Table } from "../table.ts";

/** Streams of figures at once. */
const FOLLOWED_MAX = 30;

interface Row extends ContainerSummary {
  readonly mode: string;
}

export function portText({ Ports }: Pick<ContainerSummary, "Ports">): string {
  return Ports.map(({ IP, PrivatePort, PublicPort, Type }) =>
    PublicPort === undefined
      ? `${PrivatePort}/${Type}`
      : `${IP?.includes(":") ? `[${IP}]` : (IP ?? "")}:${PublicPort} → ${PrivatePort}/${Type}`,
  ).join(", ");
}

/** What can be done with a container in its state. */
export function actions(id: string, name: string, state: string): HTMLButtonElement[] {
  const act = (label: string, path: string) =>
    button(label, () => post(`/containers/${part(id)}/${path}`).catch(complain));
  const made: HTMLButtonElement[] = [];
  if (state === "running")
    made.push(act("Stop", "stop"), act("Restart", "restart"), act("Pause", "pause"));
  else if (state === "paused") made.push(act("Resume", "unpause"));
  else made.push(act("Start", "start"));
  made.push(
    button(
      "Remove",
      () =>
        confirmThen(`Remove the container ${plain(name)}, with all it has written?`, "Remove", () =>
          remove(`/containers/${part(id)}`, { force: true, v: true }),
        ),
      "danger",
    ),
  );
  return made;
}

export function showContainers(place: HTMLElement): End {
  const figures = new Map<string, { cpu: HTMLElement; memory: HTMLElement; end: End }>();
  const cellsOf = (id: string) => figures.get(id);
  let filter = "";
  let rows: readonly Row[] = [];
  const table = new Table<Row>("Containers", "There are no containers", ({ Id }) => Id, [
    {
      title: "Name",
      cell: (row) => [
        element("a", { href: `#container/${part(row.Id)}` }, plain(nameOf(row))),
        " ",
        element("small", {}, shortId(row.Id)),
      ],
    },
    { title: "Image", cell: ({ Image }) => plain(Image) },
    { title: "State", cell: ({ State, Status }) => [badge(State), " ", Status] },
    { title: "Mode", cell: ({ mode }) => badge(mode) },
    { title: "Ports", cell: portText },
    { title: "CPU", kind: "number", cell: ({ Id }) => cellsOf(Id)?.cpu },
    { title: "Memory", kind: "number", cell: ({ Id }) => cellsOf(Id)?.memory },
    {
      title: "",
      kind: "actions",
      cell: (row) => actions(row.Id, nameOf(row), row.State),
    },
  ]);
  const render = () =>
    table.show(
      rows.filter((row) => `${nameOf(row)} ${row.Image} ${row.State} ${row.Id}`.includes(filter)),
    );
  const search = element("input", {
    type: "search",
    placeholder: "Filter (/)",
    "aria-label": "Filter containers",
    oninput: () => {
      filter = search.value;
      render();
    },
  });
  place.append(
    element("div", { class: "bar" }, element("h2", {}, "Containers"), search),
    table.root,
  );

  const watchFigures = () => {
    const running = rows.filter(({ State }) => State === "running").slice(0, FOLLOWED_MAX);
    for (const [id, { end }] of figures) {
      if (running.some(({ Id }) => Id === id)) continue;
      end();
      figures.delete(id);
    }
    for (const { Id } of running) {
      if (figures.has(Id)) continue;
      const cpu = element("span", {}, "–");
      const memory = element("span", {}, "–");
      const end = pour<Stats>(
        (signal) => jsonLines(`/containers/${part(Id)}/stats`, { query: { stream: true }, signal }),
        (stats) => {
          cpu.textContent = `${cpuPercent(stats).toFixed(1)} %`;
          memory.textContent = bytes(stats.memory_stats.usage ?? 0);
        },
      );
      figures.set(Id, { cpu, memory, end });
    }
  };
  const endFollowing = follow(["container"], async () => {
    const list = await get<readonly ContainerSummary[]>("/containers/json", { all: true });
    rows = await Promise.all(list.map(async (one) => ({ ...one, mode: await modeOf(one.Id) })));
    watchFigures();
    render();
  });
  return () => {
    endFollowing();
    for (const { end } of figures.values()) end();
  };
}

/** A container's mode never changes. */
const modes = new Map<string, string>();

async function modeOf(id: string): Promise<string> {
  let mode = modes.get(id);
  if (mode === undefined) {
    try {
      const { HostConfig } = await get<{ HostConfig: { Runtime: string } }>(
        `/containers/${part(id)}/json`,
      );
      mode = HostConfig.Runtime === "untrusted" ? "untrusted" : "trusted";
    } catch {
      // Removed in the meantime.
      return "";
    }
    modes.set(id, mode);
  }
  return mode;
}

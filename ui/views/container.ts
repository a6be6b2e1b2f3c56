import { Chart } from "../chart.ts";
import { badge, complain, element, fill } from "../dom.ts";
import {
  type ContainerSummary,
  cpuPercent,
  EngineError,
  get,
  part,
  type Stats,
} from "../engine.ts";
import { bytes, plain, shortId } from "../format.ts";
import { type End, follow, pour } from "../live.ts";
import { jsonLines } from "../stream.ts";
import { Table } from "../table.ts";
import { openTerminal } from "../terminal.ts";
import { showAttempts } from "./attempts.ts";
import { actions, portText } from "./containers.ts";
import { showLog } from "./log.ts";

export interface Inspection {
  readonly Id: string;
  readonly Name: string;
  readonly Path: string;
  readonly Args: readonly string[];
  readonly Image: string;
  readonly State: {
    readonly Status: string;
    readonly ExitCode: number;
    readonly Error: string;
    readonly Health?: { readonly Status: string } | null;
  };
  readonly Config: {
    readonly Image: string;
    readonly Tty: boolean;
    readonly Labels: Readonly<Record<string, string>> | null;
  };
  readonly HostConfig: { readonly Runtime: string };
  readonly Mounts: readonly { Type: string; Source: string; Destination: string; RW: boolean }[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { IPAddress: string }>> };
}

type Tab = (place: HTMLElement, container: Inspection) => End;

const TABS: readonly { title: string; show: Tab }[] = [
  { title: "Overview", show: showOverview },
  { title: "Logs", show: showLog },
  { title: "Terminal", show: showTerminal },
  { title: "Changed files", show: showChanges },
  { title: "Network attempts", show: showAttempts },
  { title: "Inspect", show: showInspection },
];

export function showContainer(place: HTMLElement, id: string): End {
  const heading = element("div", { class: "bar" });
  const tabs = element("div", { class: "tabs", role: "tablist" });
  const panel = element("div", { role: "tabpanel" });
  place.append(heading, tabs, panel);
  let end: End = () => {};
  let container: Inspection | undefined;
  let chosen = 0;

  const choose = (index: number) => {
    chosen = index;
    fill(
      tabs,
      ...TABS.map(({ title }, at) =>
        element(
          "button",
          {
            type: "button",
            role: "tab",
            "aria-selected": String(at === index),
            onclick: () => choose(at),
          },
          title,
        ),
      ),
    );
    end();
    fill(panel);
    if (container !== undefined) end = TABS[index]?.show(panel, container) ?? (() => {});
  };
  tabs.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    choose((chosen + by + TABS.length) % TABS.length);
    const button = tabs.children[chosen];
    if (button instanceof HTMLElement) button.focus();
  });

  const endFollowing = follow(["container"], async () => {
    let now: Inspection;
    try {
      now = await get<Inspection>(`/containers/${part(id)}/json`);
    } catch (error) {
      if (!(error instanceof EngineError) || error.status !== 404) throw error;
      end();
      end = () => {};
      fill(place, element("p", { class: "empty" }, "This container has been removed"));
      return;
    }
    const name = now.Name.replace(/^\//, "");
    const health = now.State.Health?.Status;
    fill(
      heading,
      element("h2", {}, plain(name), " ", element("small", {}, shortId(now.Id))),
      badge(now.State.Status),
      health === undefined || health === "none" ? undefined : badge(health),
      badge(now.HostConfig.Runtime === "untrusted" ? "untrusted" : "trusted"),
      ...actions(now.Id, name, now.State.Status),
    );
    const changed = container?.State.Status !== now.State.Status;
    container = now;
    if (changed) choose(chosen);
  });
  return () => {
    endFollowing();
    end();
  };
}

function showOverview(place: HTMLElement, container: Inspection): End {
  const { State, Config, Mounts, NetworkSettings } = container;
  const addresses = Object.entries(NetworkSettings.Networks).map(([name, { IPAddress }]) =>
    IPAddress === "" ? name : `${name} ${IPAddress}`,
  );
  const labels = Object.entries(Config.Labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const mounts = Mounts.map(
    ({ Type, Source, Destination, RW }) =>
      `${Type} ${Source} → ${Destination}${RW ? "" : " (read-only)"}`,
  );
  const rows: readonly (readonly [string, string])[] = [
    ["Image", Config.Image],
    ["Command", [container.Path, ...container.Args].join(" ")],
    ["Exit code", State.Status === "exited" ? String(State.ExitCode) : ""],
    ["Error", State.Error],
    ["Networks", addresses.join(", ")],
    ["Mounts", mounts.join(", ")],
    ["Labels", labels.join(", ")],
  ];
  const ports = element("dd", {}, "");
  place.append(
    element(
      "dl",
      { class: "card" },
      ...rows
        .filter(([, value]) => value !== "")
        .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, plain(value))]),
      element("dt", {}, "Ports"),
      ports,
    ),
  );
  const filters = JSON.stringify({ id: [container.Id] });
  get<readonly ContainerSummary[]>("/containers/json", { all: true, filters })
    .then(([summary]) => fill(ports, summary === undefined ? "" : portText(summary)))
    .catch(complain);
  if (State.Status !== "running") return () => {};
  const cpu = new Chart("CPU", 5);
  const memory = new Chart("Memory", 1 << 20);
  const network = new Chart("Network", 1000);
  const pids = new Chart("Processes and threads", 4);
  place.append(element("div", { class: "cards" }, cpu.root, memory.root, network.root, pids.root));
  let before: number | undefined;
  return pour<Stats>(
    (signal) =>
      jsonLines(`/containers/${part(container.Id)}/stats`, { query: { stream: true }, signal }),
    (stats) => {
      const percent = cpuPercent(stats);
      cpu.add(percent, `${percent.toFixed(1)} %`);
      const { usage = 0, limit } = stats.memory_stats;
      memory.add(usage, limit === undefined ? bytes(usage) : `${bytes(usage)} of ${bytes(limit)}`);
      const moved = Object.values(stats.networks ?? {}).reduce(
        (sum, { rx_bytes, tx_bytes }) => sum + rx_bytes + tx_bytes,
        0,
      );
      network.add(moved - (before ?? moved), `${bytes(moved - (before ?? moved))}/s`);
      before = moved;
      const { current = 0 } = stats.pids_stats;
      pids.add(current, String(current));
    },
  );
}

function showTerminal(place: HTMLElement, container: Inspection): End {
  if (container.State.Status !== "running") {
    place.append(element("p", { class: "empty" }, "A terminal needs a running container"));
    return () => {};
  }
  const shell = ["/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash || exec /bin/sh"];
  return openTerminal(place, container.Id, shell);
}

const KINDS = ["changed", "added", "deleted"];

function showChanges(place: HTMLElement, container: Inspection): End {
  interface Change {
    readonly Path: string;
    readonly Kind: number;
  }
  const table = new Table<Change>("Changed files", "Nothing has been changed", ({ Path }) => Path, [
    { title: "Path", cell: ({ Path }) => plain(Path) },
    { title: "What", cell: ({ Kind }) => badge(KINDS[Kind] ?? "changed") },
  ]);
  const load = () =>
    get<readonly Change[] | null>(`/containers/${part(container.Id)}/changes`)
      .then((changes) => table.show(changes ?? []))
      .catch(complain);
  const again = element("button", { type: "button", onclick: () => void load() }, "Look again");
  place.append(element("div", { class: "bar" }, again), table.root);
  void load();
  return () => {};
}

function showInspection(place: HTMLElement, container: Inspection): End {
  place.append(element("pre", { tabindex: 0 }, plain(JSON.stringify(container, null, 2))));
  return () => {};
}

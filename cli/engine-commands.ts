/** Rows of the commands about the daemon and docker's clients; a part of commands.ts. */
import type { CommandRow, TypedRow } from "./command.ts";
import * as options from "./engine-options.ts";
import type { OptionRow } from "./option.ts";

function command<const Options extends readonly OptionRow[]>(row: TypedRow<Options>): CommandRow {
  return row as unknown as CommandRow;
}

export const ENGINE_COMMANDS: readonly CommandRow[] = [
  command({
    name: "daemon run",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Serve docker's clients, here, until Ctrl-C",
    about: `Speaks the Docker Engine API on a socket that only you can open. Containers are the same that
ddcli shows, each with a process of its own: they go on when the daemon stops or is restarted.
With DDJIT_UNTRUSTED=1 every container is untrusted unless it asks for --runtime=trusted.`,
    options: options.DAEMON_RUN_OPTIONS,
    examples: [["ddcli daemon run", "in this terminal, with a log"]],
    load: () => import("./commands/daemon-run.ts"),
  }),
  command({
    name: "daemon start",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Serve docker's clients in the background",
    options: options.DAEMON_START_OPTIONS,
    examples: [["ddcli daemon start", 'then "ddcli context install", and docker works']],
    load: () => import("./commands/daemon-start.ts"),
  }),
  command({
    name: "daemon stop",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Stop serving; containers go on",
    options: options.DAEMON_STOP_OPTIONS,
    examples: [["ddcli daemon stop", "without harm to any container"]],
    load: () => import("./commands/daemon-stop.ts"),
  }),
  command({
    name: "daemon status",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Whether the daemon runs, and where it listens",
    options: options.DAEMON_STATUS_OPTIONS,
    examples: [["ddcli daemon status --json", "for a script"]],
    exitCodes: [["0", "it runs; 1: it does not"]],
    load: () => import("./commands/daemon-status.ts"),
  }),
  command({
    name: "ui",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Open the dashboard in a browser",
    about: `The running daemon serves it on a loopback address, for whoever has the link this prints: it is good for
one sign-in within two minutes.`,
    options: options.UI_OPTIONS,
    examples: [["ddcli ui --no-open", "print the link"]],
    load: () => import("./commands/ui.ts"),
  }),
  command({
    name: "context install",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: 'Make and select the docker context "dd"',
    about: `From then on docker, docker compose and whatever reads docker's contexts use the daemon of ddcli.`,
    options: options.CONTEXT_INSTALL_OPTIONS,
    examples: [["ddcli context install", "then: docker run --rm busybox echo hello"]],
    load: () => import("./commands/context-install.ts"),
  }),
  command({
    name: "context uninstall",
    group: "engine",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: 'Remove the docker context "dd" without a trace',
    options: options.CONTEXT_UNINSTALL_OPTIONS,
    examples: [["ddcli context uninstall", "docker uses what it used before"]],
    load: () => import("./commands/context-uninstall.ts"),
  }),
];

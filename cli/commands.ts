/**
 * Every command of ddcli, one row each. The parser, the help and the shell completion are made from these
 * rows; the code behind a row is loaded when the command runs.
 */

import type { CommandRow, TypedRow } from "./command.ts";
import { ENGINE_COMMANDS } from "./engine-commands.ts";
import { EXIT } from "./errors.ts";
import { IMAGE_COMMANDS } from "./image-commands.ts";
import type { OptionRow } from "./option.ts";
import * as options from "./options.ts";

/** Checks at compile time that the code behind a row takes exactly the row's options. */
function command<const Options extends readonly OptionRow[]>(row: TypedRow<Options>): CommandRow {
  return row as unknown as CommandRow;
}

const RUN_EXIT_CODES = [
  ["125", "the container could not be run; the message says why"],
  ["126", "the command is there but cannot be executed"],
  ["127", "the command is not there"],
  ["128+N", "signal N ended the command"],
  ["else", "the command's own exit code"],
] as const;

const REPORT_EXIT_CODES = [["0", "untrusted containers can run here; 1: they cannot"]] as const;

export const COMMANDS: readonly CommandRow[] = [
  command({
    name: "run",
    aliases: ["container run"],
    group: "run",
    usage: "IMAGE [COMMAND [ARG...]]",
    operands: { min: 1, complete: "image" },
    summary: "Run a command in a new container",
    about: `Makes a container of IMAGE and runs COMMAND in it, or the image's own command. Options end at
IMAGE: what follows belongs to the container.

The image "host" needs no pull: it is this machine's own programs (/usr, /bin, /lib, ...), read-only, below
a private writable layer, without anybody's home directory.

Trusted is the default: the container's code runs in this very process, as fast as natively, and could do
whatever you can: no boundary. With --untrusted (or DDJIT_UNTRUSTED=1) it runs in a separate process which
can reach nothing but its own memory; when this machine lacks something that needs, the container is
refused: see "ddcli doctor".`,
    options: options.RUN_OPTIONS,
    optionsEndAtOperand: true,
    examples: [
      ["ddcli run --rm host echo hello", "a command on this machine's own tools"],
      ["ddcli run --rm -it debian:bookworm bash", "a shell in an image, pulled when missing"],
      [
        "ddcli run --untrusted --rm -v .:/src -w /src host make",
        "code you do not trust, on this directory",
      ],
      ["ddcli run -d --name db -v data:/var/lib/db mydb", "in the background, with a named volume"],
    ],
    exitCodes: RUN_EXIT_CODES,
    failsWith: EXIT.dd,
    load: () => import("./commands/run.ts"),
  }),
  command({
    name: "create",
    aliases: ["container create"],
    group: "run",
    usage: "IMAGE [COMMAND [ARG...]]",
    operands: { min: 1, complete: "image" },
    summary: "Make a container without starting it",
    about: `Takes what "ddcli run" takes, and prints the container's id.`,
    options: options.CREATE_OPTIONS,
    optionsEndAtOperand: true,
    examples: [["ddcli create --name job host make", 'made now, started by "ddcli start job"']],
    exitCodes: [["125", "the container could not be made"]],
    failsWith: EXIT.dd,
    load: () => import("./commands/create.ts"),
  }),
  command({
    name: "start",
    aliases: ["container start"],
    group: "run",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Start containers that do not run",
    about: `A container that has ended starts again with the files it left.`,
    options: options.START_OPTIONS,
    examples: [
      ["ddcli start db", "again, in the background"],
      ["ddcli start -a job", "again, with its output here"],
    ],
    exitCodes: [["125", "the container could not be started"]],
    failsWith: EXIT.dd,
    load: () => import("./commands/start.ts"),
  }),
  command({
    name: "exec",
    aliases: ["container exec"],
    group: "run",
    usage: "CONTAINER COMMAND [ARG...]",
    operands: { min: 2, complete: "container" },
    summary: "Run a further command in a running container",
    about: `The command gets the container's environment, and this terminal's descriptors themselves: no bytes
are copied in between.`,
    options: options.EXEC_OPTIONS,
    optionsEndAtOperand: true,
    examples: [
      ["ddcli exec -it web bash", "a shell beside the container's command"],
      ["ddcli exec web cat /etc/hostname", "one command; its exit code is ours"],
    ],
    exitCodes: RUN_EXIT_CODES,
    failsWith: EXIT.dd,
    load: () => import("./commands/exec.ts"),
  }),
  command({
    name: "ps",
    aliases: ["container ls", "container list", "container ps"],
    group: "look",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "List containers",
    about: `Filters: id, name, label, status (created, running, exited), ancestor (image), mode (trusted, untrusted).`,
    options: options.PS_OPTIONS,
    examples: [
      ["ddcli ps -a", "all, running or not"],
      ["ddcli ps -q --filter label=job", "ids of those with a label"],
      ["ddcli ps --format '{{.Names}} {{.Mode}}'", "chosen columns"],
    ],
    load: () => import("./commands/ps.ts"),
  }),
  command({
    name: "port",
    aliases: ["container port"],
    group: "look",
    usage: "CONTAINER [PORT[/udp]]",
    operands: { min: 1, max: 2, complete: "container" },
    summary: "Show which ports of this machine lead to a container",
    options: options.PORT_OPTIONS,
    examples: [["ddcli port web 80", "where the container's port 80 is"]],
    load: () => import("./commands/port.ts"),
  }),
  command({
    name: "egress",
    group: "look",
    usage: "CONTAINER",
    operands: { min: 1, max: 1, complete: "container" },
    summary: "Show what a container tried to reach outside of its networks",
    about:
      "Every connection, every destination of datagrams and every name that was refused, with the verdict.",
    options: options.EGRESS_OPTIONS,
    examples: [["ddcli egress --denied agent", "what its policy has kept it from"]],
    load: () => import("./commands/egress.ts"),
  }),
  command({
    name: "logs",
    aliases: ["container logs"],
    group: "look",
    usage: "CONTAINER",
    operands: { min: 1, max: 1, complete: "container" },
    summary: "Show what a background container has printed",
    about: `A container run in the foreground writes straight to its terminal and keeps no log. Of a
long log the last 32 MiB or more are kept.`,
    options: options.LOGS_OPTIONS,
    examples: [["ddcli logs -f --tail 20 web", "the last 20 lines, and what comes"]],
    load: () => import("./commands/logs.ts"),
  }),
  command({
    name: "top",
    aliases: ["container top"],
    group: "look",
    usage: "CONTAINER",
    operands: { min: 1, max: 1, complete: "container" },
    summary: "List the processes of a container",
    options: options.TOP_OPTIONS,
    examples: [["ddcli top web", "its processes, by the container's own pids"]],
    load: () => import("./commands/top.ts"),
  }),
  command({
    name: "stats",
    aliases: ["container stats"],
    group: "look",
    usage: "[CONTAINER...]",
    operands: { min: 0, complete: "container" },
    summary: "Show what running containers use, once",
    options: options.STATS_OPTIONS,
    examples: [["ddcli stats", "CPU time, memory and processes of all that run"]],
    load: () => import("./commands/stats.ts"),
  }),
  command({
    name: "inspect",
    aliases: ["container inspect", "image inspect", "volume inspect"],
    group: "look",
    usage: "NAME...",
    operands: { min: 1, complete: "container" },
    summary: "Show everything about containers, images or volumes, as JSON",
    options: options.INSPECT_OPTIONS,
    examples: [["ddcli inspect --format '{{.State.ExitCode}}' job", "one value"]],
    load: () => import("./commands/inspect.ts"),
  }),
  command({
    name: "wait",
    aliases: ["container wait"],
    group: "look",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Wait until containers end and print their exit codes",
    options: options.WAIT_OPTIONS,
    examples: [["ddcli wait job", "prints 0 when it went well"]],
    load: () => import("./commands/wait.ts"),
  }),
  command({
    name: "cp",
    aliases: ["container cp"],
    group: "look",
    usage: "SRC DST",
    operands: { min: 2, max: 2, complete: "container" },
    summary: "Copy files between a container and this machine",
    about: `One of SRC and DST is CONTAINER:PATH, the other a path here, or "-" for a tar on standard input or output.
The container need not run. Whether DST is a directory decides as with "cp -r": into it, or under its name; "SRC/."
means what is in the directory SRC. Symlinks in the container lead within the container.`,
    options: options.CP_OPTIONS,
    examples: [
      ["ddcli cp web:/var/log/app.log .", "a file out of a container"],
      ["ddcli cp ./site web:/srv/www", "a directory into one"],
      ["ddcli cp job:/out - | tar -t", "as a tar"],
    ],
    load: () => import("./commands/cp.ts"),
  }),
  command({
    name: "diff",
    aliases: ["container diff"],
    group: "look",
    usage: "CONTAINER",
    operands: { min: 1, max: 1, complete: "container" },
    summary: "Show which files of its image a container has changed",
    about: `A: added, C: changed, D: deleted. Mounts are not looked at.`,
    options: options.DIFF_OPTIONS,
    examples: [["ddcli diff job", "what the job has done to its files"]],
    load: () => import("./commands/diff.ts"),
  }),
  command({
    name: "export",
    aliases: ["container export"],
    group: "look",
    usage: "CONTAINER",
    operands: { min: 1, max: 1, complete: "container" },
    summary: "Write a container's files as a tar",
    about: `The whole file system, without what is mounted on it. "ddcli import" makes an image of it.`,
    options: options.EXPORT_OPTIONS,
    examples: [["ddcli export -o job.tar job", "everything, to a file"]],
    load: () => import("./commands/export.ts"),
  }),
  command({
    name: "pause",
    aliases: ["container pause"],
    group: "end",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Freeze the processes of containers",
    about: `Nothing of them runs until "ddcli unpause". Their sentries go on: files can be copied, stop works.`,
    options: options.PAUSE_OPTIONS,
    examples: [["ddcli pause job", "for now"]],
    load: () => import("./commands/pause.ts"),
  }),
  command({
    name: "unpause",
    aliases: ["container unpause"],
    group: "end",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Let frozen containers go on",
    options: options.PAUSE_OPTIONS,
    examples: [["ddcli unpause job", "where it was"]],
    load: () => import("./commands/unpause.ts"),
  }),
  command({
    name: "rename",
    aliases: ["container rename"],
    group: "run",
    usage: "CONTAINER NAME",
    operands: { min: 2, max: 2, complete: "container" },
    summary: "Give a container another name",
    options: options.RENAME_OPTIONS,
    examples: [["ddcli rename web old-web", "running or not"]],
    load: () => import("./commands/rename.ts"),
  }),
  command({
    name: "update",
    aliases: ["container update"],
    group: "run",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Change the limits and the restart policy of containers",
    about: `Running containers get new limits at once where the host can do that; else it is said that they hold from
the next start on.`,
    options: options.UPDATE_OPTIONS,
    examples: [["ddcli update --cpus 0.5 -m 512m job", "less of everything"]],
    load: () => import("./commands/update.ts"),
  }),
  command({
    name: "stop",
    aliases: ["container stop"],
    group: "end",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Ask containers to end, and kill them when they do not",
    options: options.STOP_OPTIONS,
    examples: [["ddcli stop -t 2 web", "SIGTERM, and SIGKILL two seconds later"]],
    load: () => import("./commands/stop.ts"),
  }),
  command({
    name: "kill",
    aliases: ["container kill"],
    group: "end",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Send a signal to the first process of containers",
    options: options.KILL_OPTIONS,
    examples: [["ddcli kill -s HUP web", "make a server read its configuration again"]],
    load: () => import("./commands/kill.ts"),
  }),
  command({
    name: "rm",
    aliases: ["container rm", "container remove"],
    group: "end",
    usage: "CONTAINER...",
    operands: { min: 1, complete: "container" },
    summary: "Remove containers and the files they wrote",
    options: options.RM_OPTIONS,
    examples: [["ddcli rm -f web", "even while it runs"]],
    load: () => import("./commands/rm.ts"),
  }),
  ...IMAGE_COMMANDS,
  command({
    name: "volume ls",
    aliases: ["volume list"],
    group: "volumes",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "List named volumes",
    options: options.VOLUME_LS_OPTIONS,
    examples: [["ddcli volume ls", "names and where they are"]],
    load: () => import("./commands/volume-ls.ts"),
  }),
  command({
    name: "volume create",
    group: "volumes",
    usage: "[NAME]",
    operands: { min: 0, max: 1 },
    summary: "Make a volume",
    options: options.VOLUME_CREATE_OPTIONS,
    examples: [["ddcli volume create data", 'also made by "run -v data:/path"']],
    load: () => import("./commands/volume-create.ts"),
  }),
  command({
    name: "volume rm",
    aliases: ["volume remove"],
    group: "volumes",
    usage: "NAME...",
    operands: { min: 1, complete: "volume" },
    summary: "Remove volumes and what is in them",
    options: options.VOLUME_RM_OPTIONS,
    examples: [["ddcli volume rm data", "refused while a container has it"]],
    load: () => import("./commands/volume-rm.ts"),
  }),
  ...ENGINE_COMMANDS,
  command({
    name: "volume prune",
    group: "volumes",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Remove volumes that no container has",
    about: "Those made for one container alone, and with --all named ones as well.",
    options: options.VOLUME_PRUNE_OPTIONS,
    examples: [["ddcli volume prune", "free the space of volumes without a name"]],
    load: () => import("./commands/volume-prune.ts"),
  }),
  command({
    name: "network ls",
    aliases: ["network list"],
    group: "networks",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "List networks",
    about: "Filters: id, name, label, driver, type (builtin, custom).",
    options: options.NETWORK_LS_OPTIONS,
    examples: [["ddcli network ls", "bridge, host and none are always there"]],
    load: () => import("./commands/network-ls.ts"),
  }),
  command({
    name: "network create",
    group: "networks",
    usage: "NAME",
    operands: { min: 1, max: 1 },
    summary: "Make a network",
    about: `Containers of one network reach each other by address, name and alias; those of others they do not
reach. Nothing of it needs root, and nothing of it is visible on this machine: see docs/networks.md.`,
    options: options.NETWORK_CREATE_OPTIONS,
    examples: [
      ["ddcli network create app", 'for "run --network app --name db ..."'],
      ["ddcli network create --internal --subnet 10.9.0.0/24 vault", "no way out, own addresses"],
    ],
    load: () => import("./commands/network-create.ts"),
  }),
  command({
    name: "network inspect",
    group: "networks",
    usage: "NETWORK...",
    operands: { min: 1, complete: "network" },
    summary: "Show networks and who is in them, as JSON",
    options: options.NETWORK_INSPECT_OPTIONS,
    examples: [["ddcli network inspect app", "subnet, gateway, containers"]],
    load: () => import("./commands/network-inspect.ts"),
  }),
  command({
    name: "network connect",
    group: "networks",
    usage: "NETWORK CONTAINER",
    operands: { min: 2, max: 2, complete: "network" },
    summary: "Take a container into a network, running or not",
    options: options.NETWORK_CONNECT_OPTIONS,
    examples: [["ddcli network connect --alias cache app redis", "a second network for redis"]],
    load: () => import("./commands/network-connect.ts"),
  }),
  command({
    name: "network disconnect",
    group: "networks",
    usage: "NETWORK CONTAINER",
    operands: { min: 2, max: 2, complete: "network" },
    summary: "Take a container out of a network, running or not",
    options: options.NETWORK_DISCONNECT_OPTIONS,
    examples: [["ddcli network disconnect app redis", "its connections there end"]],
    load: () => import("./commands/network-disconnect.ts"),
  }),
  command({
    name: "network rm",
    aliases: ["network remove"],
    group: "networks",
    usage: "NETWORK...",
    operands: { min: 1, complete: "network" },
    summary: "Remove networks",
    options: options.NETWORK_RM_OPTIONS,
    examples: [["ddcli network rm app", "refused while containers run in it"]],
    load: () => import("./commands/network-rm.ts"),
  }),
  command({
    name: "network prune",
    group: "networks",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Remove networks that no container has",
    options: options.NETWORK_PRUNE_OPTIONS,
    examples: [["ddcli network prune", "all but bridge, host and none, and those in use"]],
    load: () => import("./commands/network-prune.ts"),
  }),
  command({
    name: "doctor",
    group: "system",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Probe what this machine can do, and say how to get what is missing",
    about: `Each layer of confinement is tried live, in a child process, not guessed from version numbers.`,
    options: options.REPORT_OPTIONS,
    examples: [["ddcli doctor", "before the first untrusted container"]],
    exitCodes: REPORT_EXIT_CODES,
    load: () => import("./commands/doctor.ts"),
  }),
  command({
    name: "version",
    group: "system",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Show versions, the host and the modes",
    options: options.REPORT_OPTIONS,
    examples: [["ddcli version --json", "for a bug report"]],
    load: () => import("./commands/version.ts"),
  }),
  command({
    name: "completion",
    group: "system",
    usage: "bash",
    operands: { min: 1, max: 1 },
    summary: "Print the shell completion script",
    options: options.COMPLETION_OPTIONS,
    examples: [["source <(ddcli completion bash)", "in ~/.bashrc"]],
    load: () => import("./commands/completion.ts"),
  }),
];

/** A command found at the start of `words`, and how many words its name took. */
export function findCommand(
  words: readonly string[],
): { readonly row: CommandRow; readonly taken: number } | undefined {
  for (const taken of [2, 1]) {
    if (words.length < taken) continue;
    const name = words.slice(0, taken).join(" ");
    const row = COMMANDS.find((each) => each.name === name || each.aliases?.includes(name));
    if (row !== undefined) return { row, taken };
  }
  return undefined;
}

/** The commands whose two-word name begins with `word`. */
export function family(word: string): readonly CommandRow[] {
  return COMMANDS.filter((row) =>
    [row.name, ...(row.aliases ?? [])].some((name) => name.startsWith(`${word} `)),
  );
}

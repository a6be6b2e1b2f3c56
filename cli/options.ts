/**
 * Every option of every command, one row each, grouped as commands use them. The parser, the help and the
 * shell completion read these rows; a command's code gets {@link import("./option.ts").Values} of its rows.
 */
import type { OptionRow } from "./option.ts";

type Rows = readonly OptionRow[];

export const FORMAT = [
  {
    name: "format",
    value: "FORMAT",
    help: 'Print "json", "table", or a template such as "{{.ID}} {{.Status}}"',
  },
  { name: "json", help: "Short for --format json: one object per line" },
] as const satisfies Rows;

export const LISTING = [
  { name: "quiet", short: "q", help: "Print only ids" },
  { name: "no-trunc", help: "Do not shorten ids and commands" },
  { name: "filter", short: "f", value: "KEY=VALUE", repeat: true, help: "Show only what matches" },
  ...FORMAT,
] as const satisfies Rows;

/** What a process is started with; shared by run, create and exec. */
const PROCESS = [
  { name: "interactive", short: "i", help: "Keep standard input open, even without a terminal" },
  { name: "tty", short: "t", help: "Give the command a terminal" },
  {
    name: "env",
    short: "e",
    value: "NAME[=VALUE]",
    repeat: true,
    help: "Set a variable; without =VALUE it is passed on from here",
  },
  {
    name: "env-file",
    value: "FILE",
    repeat: true,
    complete: "file",
    help: "Set the variables in a file of NAME=VALUE lines",
  },
  { name: "workdir", short: "w", value: "DIR", help: "Start in this directory of the container" },
  {
    name: "user",
    short: "u",
    value: "USER[:GROUP]",
    help: "Run as this user, by name or number, of the image's /etc/passwd",
  },
] as const satisfies Rows;

const PULL_POLICIES = ["missing", "always", "never"] as const;

export const PLATFORM = {
  name: "platform",
  value: "OS/ARCH",
  help: "Use the image for this platform, such as linux/amd64 or linux/arm64",
} as const satisfies OptionRow;

/** What a container's network is to be. */
export const NETWORKING_OPTIONS = [
  {
    name: "network",
    value: "NETWORK",
    repeat: true,
    complete: "network",
    help: "A network, bridge, none, host, or container:NAME; or name=NET,alias=A,ip=ADDRESS",
  },
  {
    name: "network-alias",
    value: "NAME",
    repeat: true,
    help: "A further name in the network",
  },
  { name: "ip", value: "ADDRESS", help: "Its IPv4 address in the network" },
  { name: "ip6", value: "ADDRESS", help: "Its IPv6 address in the network" },
  { name: "mac-address", value: "MAC", help: "Its hardware address" },
  {
    name: "link",
    value: "CONTAINER[:NAME]",
    repeat: true,
    complete: "container",
    help: "Make another container known inside as NAME",
  },
  {
    name: "publish",
    short: "p",
    value: "[IP:][HOST:]PORT[/udp]",
    repeat: true,
    help: "Let a port of this machine lead to the container's",
  },
  { name: "publish-all", short: "P", help: "Publish every exposed port at a free one" },
  { name: "expose", value: "PORT[/udp]", repeat: true, help: "A port for --publish-all" },
  {
    name: "add-host",
    value: "NAME:ADDRESS",
    repeat: true,
    help: "A line for /etc/hosts; host-gateway is this machine",
  },
  { name: "dns", value: "ADDRESS", repeat: true, help: "Ask this name server" },
  { name: "dns-search", value: "DOMAIN", repeat: true, help: "Look names up in this domain, too" },
  { name: "dns-option", value: "OPTION", repeat: true, help: "An option of resolv.conf" },
  {
    name: "egress",
    value: "RULES",
    help: "What it may reach outside: allow, deny, or host:port,*.domain,10.0.0.0/8",
  },
] as const satisfies Rows;

/** Options of `create`, and of `run` beside its own. */
export const CREATE_OPTIONS = [
  ...PROCESS,
  { name: "rm", help: "Remove the container when it ends" },
  { name: "name", value: "NAME", help: "Call it this; default: a random name" },
  {
    name: "entrypoint",
    value: "PROGRAM",
    help: 'Run this instead of the image\'s entrypoint; "" for none',
  },
  { name: "hostname", value: "NAME", help: "Host name inside; default: the short id" },
  {
    name: "volume",
    short: "v",
    value: "SRC:DST[:ro]",
    repeat: true,
    complete: "directory",
    help: "Mount a host directory or a named volume at DST",
  },
  {
    name: "mount",
    value: "SPEC",
    repeat: true,
    help: "Mount: type=bind|volume|tmpfs,source=...,target=...[,readonly]",
  },
  {
    name: "tmpfs",
    value: "DST[:OPTS]",
    repeat: true,
    help: "Mount memory at DST; OPTS: size=64m,mode=1777,ro,exec",
  },
  { name: "read-only", help: "Make the image's file system read-only (mounts keep their mode)" },
  ...NETWORKING_OPTIONS,
  { name: "memory", short: "m", value: "BYTES", help: "Memory limit: 512m, 2g; at least 6m" },
  { name: "pids-limit", value: "N", help: "Most processes and threads at once; -1: no limit" },
  { name: "cpus", value: "N", help: "CPUs' worth of time it may use, such as 1.5" },
  { name: "cpuset-cpus", value: "LIST", help: "CPUs it may use, such as 0-2,4" },
  {
    name: "ulimit",
    value: "NAME=SOFT[:HARD]",
    repeat: true,
    help: "Resource limit, such as nofile=1024:2048",
  },
  { name: "cap-add", value: "NAME", repeat: true, help: "Let root do this, too; ALL: everything" },
  { name: "cap-drop", value: "NAME", repeat: true, help: "Let nobody do this; ALL: nothing" },
  { name: "privileged", help: "Let root do everything, inside" },
  {
    name: "security-opt",
    value: "OPTION",
    repeat: true,
    help: "no-new-privileges: setuid programs give no rights",
  },
  { name: "group-add", value: "GROUP", repeat: true, help: "Put the user in this group, too" },
  { name: "domainname", value: "NAME", help: "Domain name inside" },
  { name: "shm-size", value: "BYTES", help: "Size of /dev/shm; default 64m" },
  { name: "sysctl", value: "NAME=VALUE", repeat: true, help: "Set a parameter of /proc/sys" },
  {
    name: "device",
    value: "PATH[:PATH[:rwm]]",
    repeat: true,
    help: "Give it a device of this machine (trusted containers)",
  },
  { name: "init", help: "Run a small init as pid 1 that reaps orphans and passes signals on" },
  PLATFORM,
  {
    name: "untrusted",
    help: "Confine the container's code: a separate process that can reach nothing by itself",
  },
  { name: "label", short: "l", value: "KEY=VALUE", repeat: true, help: "Attach a label" },
  {
    name: "log-driver",
    value: "DRIVER",
    choices: ["json-file", "local", "none"],
    help: "Where a background container's output goes; default json-file",
  },
  {
    name: "log-opt",
    value: "NAME=VALUE",
    repeat: true,
    help: "For json-file and local: max-size=10m, max-file=3, labels=a,b, env=NAME, tag=T",
  },
  { name: "cidfile", value: "FILE", complete: "file", help: "Write the container's id to FILE" },
  {
    name: "pull",
    value: "WHEN",
    choices: PULL_POLICIES,
    help: "Pull the image first: always, never, or when it is missing (default)",
  },
  { name: "quiet", short: "q", help: "Do not show the progress of a pull" },
  {
    name: "stop-signal",
    value: "SIGNAL",
    help: "What stop sends; default: the image's, else SIGTERM",
  },
  {
    name: "stop-timeout",
    value: "SECONDS",
    help: "How long stop waits before SIGKILL; default 10",
  },
] as const satisfies Rows;

export const RUN_OPTIONS = [
  { name: "detach", short: "d", help: "Run in the background and print the container's id" },
  {
    name: "explain",
    help: "When it has ended, say what ran, how long it took and what confined it",
  },
  ...CREATE_OPTIONS,
] as const satisfies Rows;

export const START_OPTIONS = [
  { name: "attach", short: "a", help: "Stay with it: its output here, its exit code as ours" },
  { name: "interactive", short: "i", help: "Stay with it and pass standard input on" },
] as const satisfies Rows;

export const EXEC_OPTIONS = [
  { name: "detach", short: "d", help: "Do not wait for it and drop its output" },
  { name: "privileged", help: "Let its root do everything, inside" },
  ...PROCESS,
] as const satisfies Rows;

export const PS_OPTIONS = [
  { name: "all", short: "a", help: "Also those that do not run" },
  { name: "latest", short: "l", help: "Only the one created last, running or not" },
  { name: "size", short: "s", help: "Show how much each has written" },
  ...LISTING,
] as const satisfies Rows;

export const CONTAINER_PRUNE_OPTIONS = [
  { name: "filter", short: "f", value: "KEY=VALUE", repeat: true, help: "Only those that match" },
] as const satisfies Rows;

export const LOGS_OPTIONS = [
  { name: "follow", short: "f", help: "Go on as long as the container runs" },
  { name: "tail", short: "n", value: "LINES", help: 'Begin this many lines before the end; "all"' },
  {
    name: "since",
    value: "TIME",
    help: "Only from then on: 2026-01-31T12:00:00Z, a Unix time, or 10m",
  },
  { name: "until", value: "TIME", help: "Only until then" },
  { name: "timestamps", short: "t", help: "Begin each line with its time" },
  { name: "details", help: "Show the labels and variables that --log-opt chose, too" },
] as const satisfies Rows;

export const CP_OPTIONS = [
  { name: "archive", short: "a", help: "Give what is copied to the container's user" },
  { name: "follow-link", short: "L", help: "Copy what a symlink SRC leads to" },
  { name: "quiet", short: "q", help: "Do not say how much was copied" },
] as const satisfies Rows;

export const DIFF_OPTIONS = FORMAT;

export const EXPORT_OPTIONS = [
  {
    name: "output",
    short: "o",
    value: "FILE",
    complete: "file",
    help: "Write to FILE instead of standard output",
  },
] as const satisfies Rows;

export const PAUSE_OPTIONS = [] as const satisfies Rows;
export const RENAME_OPTIONS = [] as const satisfies Rows;

export const UPDATE_OPTIONS = [
  { name: "memory", short: "m", value: "BYTES", help: "Memory limit: 512m, 2g; at least 6m" },
  { name: "pids-limit", value: "N", help: "Most processes and threads at once" },
  { name: "cpus", value: "N", help: "CPUs' worth of time it may use, such as 1.5" },
  {
    name: "restart",
    value: "POLICY",
    help: "When the daemon starts it again: no, always, unless-stopped, on-failure[:N]",
  },
] as const satisfies Rows;

export const STOP_OPTIONS = [
  { name: "time", short: "t", value: "SECONDS", help: "Wait this long before SIGKILL" },
  { name: "signal", short: "s", value: "SIGNAL", help: "Send this instead of the stop signal" },
] as const satisfies Rows;

export const KILL_OPTIONS = [
  { name: "signal", short: "s", value: "SIGNAL", help: "By name or number; default: KILL" },
] as const satisfies Rows;

export const RM_OPTIONS = [
  { name: "force", short: "f", help: "Kill it first if it runs; no error when there is none" },
  { name: "volumes", short: "v", help: "Also its anonymous volumes" },
] as const satisfies Rows;

export const TOP_OPTIONS = FORMAT;
export const STATS_OPTIONS = FORMAT;

export const INSPECT_OPTIONS = [
  {
    name: "type",
    value: "KIND",
    choices: ["container", "image", "volume", "network"],
    help: "Look only for this kind of object",
  },
  ...FORMAT,
] as const satisfies Rows;

export const WAIT_OPTIONS = [] as const satisfies Rows;

export const VOLUME_LS_OPTIONS = [
  { name: "quiet", short: "q", help: "Print only names" },
  ...FORMAT,
] as const satisfies Rows;

export const VOLUME_CREATE_OPTIONS = [
  {
    name: "opt",
    short: "o",
    value: "KEY=VALUE",
    repeat: true,
    help: "type=none,o=bind,device=/path, or type=tmpfs; one KEY=VALUE each",
  },
  { name: "label", short: "l", value: "KEY=VALUE", repeat: true, help: "Attach a label" },
] as const satisfies Rows;

export const VOLUME_RM_OPTIONS = [
  { name: "force", short: "f", help: "No error when there is none of that name" },
] as const satisfies Rows;

export const VOLUME_PRUNE_OPTIONS = [
  { name: "all", short: "a", help: "Named volumes as well" },
  { name: "filter", value: "KEY=VALUE", repeat: true, help: "Only those that match: label" },
  { name: "force", short: "f", help: "For scripts written for docker: nothing is asked here" },
] as const satisfies Rows;

export const NETWORK_LS_OPTIONS = LISTING;

export const NETWORK_CREATE_OPTIONS = [
  { name: "driver", short: "d", value: "DRIVER", help: "bridge; there is no other" },
  { name: "subnet", value: "CIDR", repeat: true, help: "Its addresses: 10.5.0.0/16" },
  { name: "gateway", value: "ADDRESS", repeat: true, help: "The host's address in it" },
  { name: "ip-range", value: "CIDR", repeat: true, help: "Take containers' addresses from here" },
  {
    name: "aux-address",
    value: "NAME=ADDRESS",
    repeat: true,
    help: "An address that no container gets",
  },
  { name: "internal", help: "No way out of it" },
  { name: "attachable", help: "Kept for who asks; every container may join" },
  { name: "ipv6", help: "IPv6 addresses as well" },
  { name: "opt", short: "o", value: "KEY=VALUE", repeat: true, help: "An option of the driver" },
  { name: "label", short: "l", value: "KEY=VALUE", repeat: true, help: "Attach a label" },
] as const satisfies Rows;

export const NETWORK_RM_OPTIONS = [
  { name: "force", short: "f", help: "No error when there is none of that name" },
] as const satisfies Rows;

export const NETWORK_INSPECT_OPTIONS = FORMAT;

export const NETWORK_CONNECT_OPTIONS = [
  { name: "alias", value: "NAME", repeat: true, help: "A further name in the network" },
  { name: "ip", value: "ADDRESS", help: "Its IPv4 address there" },
  { name: "ip6", value: "ADDRESS", help: "Its IPv6 address there" },
  { name: "link", value: "CONTAINER[:NAME]", repeat: true, help: "A private name for another" },
  { name: "gw-priority", value: "N", help: "The highest has the default route" },
] as const satisfies Rows;

export const NETWORK_DISCONNECT_OPTIONS = [
  { name: "force", short: "f", help: "For scripts written for docker: it changes nothing here" },
] as const satisfies Rows;

export const NETWORK_PRUNE_OPTIONS = [
  { name: "filter", value: "KEY=VALUE", repeat: true, help: "Only those that match: label, until" },
  { name: "force", short: "f", help: "For scripts written for docker: nothing is asked here" },
] as const satisfies Rows;

export const PORT_OPTIONS = [] as const satisfies Rows;

export const EGRESS_OPTIONS = [
  { name: "denied", help: "Only what was refused" },
  ...FORMAT,
] as const satisfies Rows;

export const REPORT_OPTIONS = FORMAT;

export const COMPLETION_OPTIONS = [] as const satisfies Rows;

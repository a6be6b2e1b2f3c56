import type { Barrier, Rule } from "../model.ts";

/** The sentry's own confinement: a second line, for the day that a guest finds a bug in the sentry. */
export const sentryRules: readonly Rule[] = [
  {
    name: "install",
    why: "The sentry's own code, which Node loads when it is first used.",
    paths: [{ parameter: "install", access: ["read"] }],
  },
  {
    name: "programs",
    why: "The executor binary, started once per container, and Node itself.",
    paths: [{ parameter: "program", access: ["read", "execute"] }],
    operations: [{ name: "process-fork" }],
  },
  {
    name: "store",
    why: "Image layers, volumes and the writable layer of the containers.",
    paths: [{ parameter: "store", access: ["read", "write"] }],
  },
  {
    name: "run-directory",
    why: "Sockets, locks and the state of running containers.",
    paths: [{ parameter: "run", access: ["read", "write"] }],
  },
  {
    name: "binds-read-only",
    why: "Host directories that the user mounted read-only, and those of the host image.",
    paths: [{ parameter: "read-only", access: ["read"] }],
  },
  {
    name: "binds-read-write",
    why: "Host directories that the user mounted.",
    paths: [{ parameter: "read-write", access: ["read", "write"] }],
  },
  {
    name: "system-files",
    why: "Name resolution, certificates, time zones and randomness, all world-readable.",
    paths: [{ parameter: "system", access: ["read"] }],
  },
  {
    name: "kernel-state",
    why: "The state of the container's own processes, for its /proc and for statistics.",
    paths: [{ parameter: "kernel-state", access: ["read"] }],
  },
  {
    name: "terminals",
    why: "The user's terminal and the pseudo-terminals of the container.",
    paths: [{ parameter: "terminals", access: ["read", "write"] }],
    operations: [{ name: "pseudo-tty" }],
  },
  {
    name: "control-group",
    why: "The container's own memory and process limits.",
    paths: [{ parameter: "cgroup", access: ["read", "write"] }],
  },
  {
    name: "network",
    why: "Guest sockets are sockets of the sentry, which applies the egress policy itself.",
    operations: [
      { name: "network-outbound", filter: ["remote", { symbol: "tcp" }, { text: "*:*" }] },
      { name: "network-outbound", filter: ["remote", { symbol: "udp" }, { text: "*:*" }] },
      { name: "network-inbound", filter: ["local", { symbol: "tcp" }, { text: "*:*" }] },
      { name: "network-bind", filter: ["local", { symbol: "ip" }, { text: "*:*" }] },
      { name: "system-socket" },
    ],
  },
  {
    name: "guest-memory",
    why: "macOS: reading and writing the memory of the executors that the sentry itself started.",
    operations: [
      { name: "mach-priv-task-port", filter: ["target", { symbol: "same-sandbox" }] },
      { name: "signal", filter: ["target", { symbol: "same-sandbox" }] },
    ],
  },
  {
    name: "processor-facts",
    why: "macOS: page size and processor count, which libc and Node ask for.",
    operations: [
      { name: "sysctl-read", filter: ["sysctl-name", { text: "hw.ncpu" }] },
      { name: "sysctl-read", filter: ["sysctl-name", { text: "hw.pagesize_compat" }] },
    ],
  },
];

export const sentryBarriers: readonly Barrier[] = [
  {
    kind: "capabilities",
    keep: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "NET_BIND_SERVICE", "SETGID"],
    why:
      "Root's sentry keeps what it needs for the files of its mounts, low ports and the groups of " +
      "its launcher: no modules, mounts, tracing, devices or raw sockets.",
  },
  { kind: "no-new-privileges", why: "No program that the sentry starts can gain privilege." },
  {
    kind: "landlock",
    abi: 6,
    filesystem: true,
    network: false,
    scoped: false,
    why: "Only the listed parts of the host's file tree can be opened, changed or executed.",
  },
];

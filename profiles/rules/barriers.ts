import { DESCRIPTOR_WINDOW } from "../constants.ts";
import type { Barrier } from "../model.ts";

/** What an executor loses before its first guest instruction, in the order of application. */
export const executorBarriers: readonly Barrier[] = [
  {
    kind: "namespace",
    namespace: "user",
    why: "One unprivileged user; capabilities over nothing else; no further user namespaces.",
  },
  { kind: "namespace", namespace: "mount", why: "The host's files are not there to be named." },
  {
    kind: "root",
    why: "An empty, read-only tmpfs (nosuid, nodev, noexec) is all that a path can reach; no /proc.",
  },
  {
    kind: "namespace",
    namespace: "pid",
    why: "No process of the host has a pid; the death of the launcher kills every executor.",
  },
  {
    kind: "namespace",
    namespace: "network",
    why: "No interface, no abstract sockets of the host.",
  },
  {
    kind: "namespace",
    namespace: "ipc",
    why: "No System V objects or message queues of the host.",
  },
  { kind: "namespace", namespace: "uts", why: "The host's name stays its own." },
  { kind: "namespace", namespace: "cgroup", why: "The host's control groups are not visible." },
  { kind: "limit", resource: "CORE", value: 0, why: "No guest memory is written to disk." },
  { kind: "limit", resource: "FSIZE", value: 0, why: "No file can grow." },
  { kind: "limit", resource: "MEMLOCK", value: 0, why: "No memory can be pinned." },
  {
    kind: "limit",
    resource: "MSGQUEUE",
    value: 0,
    why: "No kernel memory through message queues.",
  },
  { kind: "limit", resource: "NICE", value: 0, why: "No higher priority than the host gave." },
  { kind: "limit", resource: "RTPRIO", value: 0, why: "No real-time scheduling." },
  {
    kind: "limit",
    resource: "NOFILE",
    value: DESCRIPTOR_WINDOW.last + 1,
    why: "No descriptor above the window of donated files.",
  },
  {
    kind: "limit",
    resource: "NPROC",
    value: "processes",
    why: "Threads and processes are counted per container even without a control group.",
  },
  {
    kind: "limit",
    resource: "DATA",
    value: "memory",
    why: "Where no control group limits the container's memory, each of its processes is limited.",
  },
  { kind: "capabilities", keep: [], why: "No privilege, even over what the namespaces contain." },
  { kind: "no-new-privileges", why: "No program can give privilege back." },
  {
    kind: "landlock",
    abi: 6,
    filesystem: true,
    network: true,
    scoped: true,
    why:
      "No file, no TCP, no abstract socket, no signal and no tracing beyond the executor's own " +
      "domain: one domain per executor.",
  },
  {
    kind: "speculation",
    control: "store-bypass",
    why: "Speculative store bypass is off, where the processor needs it.",
  },
  {
    kind: "speculation",
    control: "indirect-branch",
    why: "Indirect branch speculation across processes is off, where the processor needs it.",
  },
  {
    kind: "seccomp",
    why: "Every host call but the allow-list traps; another instruction set's entry kills.",
  },
];

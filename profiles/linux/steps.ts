/**
 * The steps by which the launcher and the executors confine themselves, in order. C++ reports the
 * number of the step that failed; a refusal names it. New steps change the generated header.
 */
export const STEPS = [
  { name: "none", what: "no step failed", remedy: "" },
  {
    name: "confinement",
    what: "reading the confinement description",
    remedy: "This is a fault of dd: program and description do not belong together",
  },
  {
    name: "user-namespace",
    what: "creating or entering the user namespace",
    remedy:
      "Allow unprivileged user namespaces: user.max_user_namespaces above 0, " +
      "kernel.unprivileged_userns_clone=1 (Debian), " +
      "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)",
  },
  {
    name: "user-map",
    what: "mapping the container's user",
    remedy:
      "As root, CAP_SETUID and CAP_SETGID are needed; as an ordinary user, the map must be one's own",
  },
  {
    name: "user-namespace-limit",
    what: "forbidding further user namespaces",
    remedy: "/proc/sys/user must be visible and writable to the owner of a user namespace",
  },
  {
    name: "mount-namespace",
    what: "creating or entering the mount namespace",
    remedy:
      "The start must come before the Landlock confinement of the sentry; user.max_mnt_namespaces above 0",
  },
  {
    name: "root",
    what: "replacing the file tree by an empty one",
    remedy: "The start must come before the Landlock confinement of the sentry",
  },
  {
    name: "handshake",
    what: "talking to the sentry over the control socket",
    remedy: "The sentry is gone",
  },
  {
    name: "restart",
    what: "starting the launcher again inside the user namespace",
    remedy: "The program file must be readable and executable for the container's user",
  },
  {
    name: "namespaces",
    what: "creating the pid, network, ipc, uts and cgroup namespaces",
    remedy:
      "user.max_{pid,net,ipc,uts,cgroup}_namespaces above 0, and a kernel with these namespaces",
  },
  {
    name: "fork",
    what: "starting the first process of the pid namespace",
    remedy: "Raise the limit of processes",
  },
  {
    name: "identity",
    what: "becoming the container's user",
    remedy: "The user map must contain user 0",
  },
  {
    name: "descriptors",
    what: "closing inherited descriptors",
    remedy: "Linux 5.9 or newer is needed (close_range)",
  },
  {
    name: "limits",
    what: "setting the resource limits",
    remedy: "The limits of the user must not be below those of the profile",
  },
  { name: "parent-death", what: "tying the launcher's life to the sentry's", remedy: "" },
  { name: "dumpable", what: "closing the process to tracing", remedy: "" },
  { name: "capabilities", what: "dropping all capabilities", remedy: "" },
  { name: "no-new-privileges", what: "forbidding new privileges", remedy: "" },
  {
    name: "notify-filter",
    what: "creating the seccomp listener",
    remedy:
      "Linux 5.19 or newer with CONFIG_SECCOMP_FILTER is needed; no other seccomp listener may be in force",
  },
  {
    name: "landlock",
    what: "entering a Landlock domain",
    remedy:
      "Linux 6.12 or newer (Landlock ABI 6) is needed, with landlock in the list of security modules (lsm=)",
  },
  { name: "speculation", what: "disabling speculation", remedy: "" },
  {
    name: "seccomp",
    what: "installing the system call filter",
    remedy: "A kernel with CONFIG_SECCOMP_FILTER is needed",
  },
  {
    name: "sentry",
    what: "confining the sentry itself",
    remedy:
      "Linux 6.12 or newer (Landlock ABI 6) is needed, with landlock in the list of security modules (lsm=)",
  },
] as const satisfies readonly { name: string; what: string; remedy: string }[];

export type StepName = (typeof STEPS)[number]["name"];

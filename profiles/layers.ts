/** What a layer is needed for. */
export type Need =
  /** Without it an untrusted start is refused. */
  | "untrusted"
  /** Without it no guest of the host's own instruction set runs, in either mode. */
  | "always"
  /** Without it limits are enforced per process only. */
  | "limits";

/** One thing that the doctor tries. */
export interface Layer {
  /** As `dd-probe` prints it. */
  readonly name: string;
  readonly title: string;
  readonly need: Need;
  /** How to get it. */
  readonly remedy: string;
}

const USER_NAMESPACES =
  "Allow unprivileged user namespaces: sysctl user.max_user_namespaces=15000, and where they exist " +
  "kernel.unprivileged_userns_clone=1 (Debian) and kernel.apparmor_restrict_unprivileged_userns=0 " +
  "(Ubuntu). In a container, it must be started with these calls allowed " +
  "(docker: --security-opt seccomp=unconfined)";
const SECCOMP = "A kernel with CONFIG_SECCOMP_FILTER is needed";
const CGROUP =
  "Have the control group delegated (systemd: loginctl enable-linger, user session with " +
  "Delegate=yes), or run as root. Without it -m and --pids-limit rest on resource limits";

function namespaceLayer(kind: string, sysctl: string): Layer {
  return {
    name: `${kind}-namespace`,
    title: `${kind} namespaces`,
    need: "untrusted",
    remedy: `${sysctl} must be above 0, and user namespaces must work`,
  };
}

/** Every layer, in the order in which a start uses them. */
export const LAYERS = [
  { name: "user-namespace", title: "user namespaces", need: "untrusted", remedy: USER_NAMESPACES },
  {
    name: "container-user",
    title: "a host user of its own for each container",
    need: "untrusted",
    remedy: "As root, keep CAP_SETUID, CAP_SETGID and CAP_SYS_ADMIN; or run as an ordinary user",
  },
  {
    name: "user-namespace-limit",
    title: "no user namespaces inside",
    need: "untrusted",
    remedy: "/proc/sys must be mounted writable; in a container it often is not",
  },
  {
    name: "empty-root",
    title: "mount namespaces and an empty root",
    need: "untrusted",
    remedy:
      "user.max_mnt_namespaces must be above 0; a process inside a Landlock domain cannot change " +
      "mounts: start dd outside of other sandboxes",
  },
  namespaceLayer("pid", "user.max_pid_namespaces"),
  namespaceLayer("network", "user.max_net_namespaces"),
  namespaceLayer("ipc", "user.max_ipc_namespaces"),
  namespaceLayer("uts", "user.max_uts_namespaces"),
  namespaceLayer("cgroup", "user.max_cgroup_namespaces"),
  {
    name: "no-new-privileges",
    title: "no_new_privs",
    need: "untrusted",
    remedy: "Linux 3.5 or newer is needed",
  },
  { name: "seccomp-trap", title: "seccomp filters that trap", need: "untrusted", remedy: SECCOMP },
  {
    name: "seccomp-donation",
    title: "seccomp notifications that donate descriptors",
    need: "always",
    remedy:
      "Linux 5.19 or newer is needed; dd cannot run below another supervisor with a seccomp listener",
  },
  {
    name: "landlock",
    title: "Landlock, ABI 6 or newer",
    need: "untrusted",
    remedy:
      "Linux 6.12 or newer is needed with CONFIG_SECURITY_LANDLOCK, and landlock in the boot " +
      "parameter lsm= (see /sys/kernel/security/lsm)",
  },
  {
    name: "executor-memory",
    title: "access to an executor's memory",
    need: "untrusted",
    remedy: "sysctl kernel.yama.ptrace_scope must be 0 or 1",
  },
  {
    name: "fsgsbase",
    title: "FSGSBASE instructions",
    need: "always",
    remedy: "A processor since 2012 and Linux 5.9 or newer are needed, without nofsgsbase",
  },
  { name: "cgroup-pids", title: "control group of processes", need: "limits", remedy: CGROUP },
  { name: "cgroup-memory", title: "control group of memory", need: "limits", remedy: CGROUP },
] as const satisfies readonly Layer[];

export type LayerName = (typeof LAYERS)[number]["name"];

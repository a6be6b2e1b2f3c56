import type { SeatbeltObject } from "../../profiles/seatbelt/filters.ts";
import { OPERATIONS, type OperationName } from "../../profiles/seatbelt/operations.ts";

/** One row of a decision table: may a process under the profile do this? */
export interface SeatbeltRow {
  readonly operation: OperationName;
  readonly object: SeatbeltObject;
  readonly allowed: boolean;
}

type Group = readonly [readonly OperationName[], readonly SeatbeltObject[]];

function rows(allowed: boolean, groups: readonly Group[]): SeatbeltRow[] {
  return groups.flatMap(([operations, objects]) =>
    operations.flatMap((operation) => objects.map((object) => ({ operation, object, allowed }))),
  );
}

const paths = (...list: string[]): SeatbeltObject[] => list.map((path) => ({ path }));
const names = (...list: string[]): SeatbeltObject[] => list.map((name) => ({ name }));
const startingWith = (prefix: string): OperationName[] =>
  OPERATIONS.filter((name) => name.startsWith(prefix));

const SELF: SeatbeltObject = { target: "self" };
const SIBLING: SeatbeltObject = { target: "same-sandbox" };
const OTHERS: SeatbeltObject = { target: "others" };
const NOTHING: readonly SeatbeltObject[] = [{}];

const SECRETS = paths(
  "/private/etc/passwd",
  "/private/etc/master.passwd",
  "/Users/ann/.ssh/id_ed25519",
  "/Users/ann/Library/Keychains/login.keychain-db",
  "/Users/ann/Library/LaunchAgents/x.plist",
  "/Users/ann/project/.git/hooks/post-checkout",
  "/usr/lib/dyld",
  "/dev/mem",
  "/",
);

const SERVICES = names(
  "com.apple.coreservices.launchservicesd",
  "com.apple.lsd.mapdb",
  "com.apple.coreservices.appleevents",
  "com.apple.cfprefsd.daemon",
  "com.apple.pasteboard.1",
  "com.apple.windowserver.active",
  "com.apple.mDNSResponder",
  "com.apple.securityd",
  "com.apple.webkit.camera",
);

const FAR_ENDS: readonly SeatbeltObject[] = [
  { remote: "tcp 93.184.216.34:443" },
  { remote: "tcp 127.0.0.1:22" },
  { remote: "udp 10.0.0.1:53" },
  { remote: "unix /private/var/run/docker.sock" },
  { remote: "unix /private/tmp/ssh-agent.sock" },
];

const NEAR_ENDS: readonly SeatbeltObject[] = [
  { local: "tcp 0.0.0.0:8080" },
  { local: "tcp 127.0.0.1:8080" },
  { local: "unix /private/tmp/x.sock" },
];

/** What no process of ours may do, whichever profile. */
const NEVER: readonly Group[] = [
  [["mach-lookup", "mach-register", "mach-cross-domain-lookup"], SERVICES],
  [startingWith("iokit"), names("IOSurfaceRootUserClient", "AGXDeviceUserClient")],
  [startingWith("ipc-"), names("apple.shm.notification_center", "dd")],
  [startingWith("user-preference"), names("kCFPreferencesAnyApplication")],
  [["sysctl-write"], names("kern.hostname")],
  [["signal"], [OTHERS]],
  [["mach-priv-task-port", "mach-task-name", "mach-task-read", "mach-task-inspect"], [OTHERS]],
  [startingWith("process-info"), [SELF, OTHERS]],
  [startingWith("nvram"), names("boot-args")],
  [
    [
      "appleevent-send",
      "distributed-notification-post",
      "dynamic-code-generation",
      "hid-control",
      "job-creation",
      "load-unsigned-code",
      "lsopen",
      "mach-bootstrap",
      "mach-host-special-port-set",
      "mach-priv-host-port",
      "system-kext-load",
      "system-mac-syscall",
      "system-privilege",
      "system-reboot",
      "system-set-time",
    ],
    NOTHING,
  ],
];

/** The executor: hostile, and with no right but to itself. */
export const EXECUTOR_ROWS: readonly SeatbeltRow[] = [
  ...rows(true, [
    [["process-fork"], NOTHING],
    [["signal", "mach-task-name", "mach-task-read"], [SELF]],
  ]),
  ...rows(false, NEVER),
  ...rows(false, [
    [startingWith("file-"), SECRETS],
    [["process-exec", "process-exec-interpreter"], paths("/bin/sh", "/usr/bin/open", "/bin/zsh")],
    [["network-outbound"], FAR_ENDS],
    [["network-inbound", "network-bind"], NEAR_ENDS],
    [["system-socket", "pseudo-tty", "socket-ioctl"], NOTHING],
    [["sysctl-read"], names("kern.procargs2", "kern.proc.all", "hw.ncpu", "hw.memsize")],
    [["signal", "mach-priv-task-port"], [SIBLING]],
  ]),
];

/** The paths with which the sentry's table is evaluated. */
export const SENTRY_PATHS = {
  install: ["/opt/dd"],
  program: ["/opt/bin/dd-guest", "/opt/node/bin/node"],
  store: ["/Users/ann/Library/dd/store"],
  run: ["/private/var/run/dd/501"],
  "read-only": ["/Users/ann/reference"],
  "read-write": ["/Users/ann/project", "/Users/ann/data"],
  system: ["/private/etc/resolv.conf", "/private/etc/ssl"],
  "kernel-state": ["/dev/fd"],
  terminals: ["/dev/ttys001"],
  cgroup: ["/opt/cgroup"],
} as const;

const READS: readonly OperationName[] = ["file-read-data", "file-read-metadata", "file-read-xattr"];
const WRITES: readonly OperationName[] = [
  "file-write-data",
  "file-write-create",
  "file-write-unlink",
  "file-write-mode",
];

/** The sentry: its store, its mounts, its sockets. */
export const SENTRY_ROWS: readonly SeatbeltRow[] = [
  ...rows(true, [
    [
      READS,
      paths(
        "/opt/dd/build/js/sentry/main.js",
        "/opt/bin/dd-guest",
        "/opt/node/bin/node",
        "/Users/ann/Library/dd/store/packs/1",
        "/private/var/run/dd/501/c1/control",
        "/Users/ann/reference/manual.txt",
        "/Users/ann/project",
        "/Users/ann/project/src/a.c",
        "/Users/ann/data/x",
        "/private/etc/resolv.conf",
        "/private/etc/ssl/cert.pem",
        "/dev/fd/3",
        "/dev/ttys001",
        "/opt/cgroup/pids.max",
      ),
    ],
    [
      WRITES,
      paths(
        "/Users/ann/Library/dd/store/packs/1",
        "/private/var/run/dd/501/c1/control",
        "/Users/ann/project/src/a.c",
        "/Users/ann/data/x",
        "/dev/ttys001",
        "/opt/cgroup/pids.max",
      ),
    ],
    [["process-exec", "file-map-executable"], paths("/opt/bin/dd-guest", "/opt/node/bin/node")],
    [["process-fork", "system-socket", "pseudo-tty"], NOTHING],
    [
      ["signal", "mach-priv-task-port"],
      [SELF, SIBLING],
    ],
    [["network-outbound"], FAR_ENDS.slice(0, 3)],
    [["network-inbound"], NEAR_ENDS.slice(0, 2)],
    [["network-bind"], [...NEAR_ENDS.slice(0, 2), { local: "udp 0.0.0.0:53" }]],
    [["sysctl-read"], names("hw.ncpu", "hw.pagesize_compat")],
  ]),
  ...rows(false, NEVER),
  ...rows(false, [
    [[...READS, ...WRITES], SECRETS.slice(0, 5)],
    [
      READS,
      paths(
        "/Users/ann",
        "/Users/ann/project2/secret",
        "/Users/ann/Library/dd",
        "/opt/node/lib/x",
        "/private/etc/sudoers",
        "/private/var/run/dd/502",
      ),
    ],
    [WRITES, paths("/opt/dd/build/js/sentry/main.js", "/Users/ann/reference/manual.txt")],
    [["process-exec"], paths("/bin/sh", "/Users/ann/project/a.out", "/opt/dd/tool")],
    [["network-outbound"], FAR_ENDS.slice(3)],
    [["network-bind", "network-inbound"], NEAR_ENDS.slice(2)],
    [["sysctl-read"], names("kern.procargs2", "kern.proc.all")],
  ]),
];

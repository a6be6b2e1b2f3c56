/**
 * The seam between whoever keeps containers (sentry/container, cli, api) and the sentry that runs one:
 * what the sentry is told ({@link ContainerSpec}, {@link ProcessSpec}: plain JSON, stored as it is in the
 * container's directory) and what it can be asked ({@link SentryContainer}). Types only.
 *
 * Paths, arguments and environment are byte strings (sentry/abi/bytes.ts).
 */
import type { ByteString } from "./abi/bytes.ts";
import type { Errno } from "./abi/errno.ts";
import type { Isa } from "./abi/numbers.ts";
import type { Reactor } from "./host/reactor.ts";

/** Where guest code runs: in the sentry's own process, or behind a confined executor. */
export type Mode = "trusted" | "untrusted";

/** Everything about a container that is fixed before its first process starts. */
export interface ContainerSpec {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly mode: Mode;
  /** What uname(2) reports as the node's name. At most 64 bytes. */
  readonly hostname: ByteString;
  /** The ISA of the image's programs. */
  readonly isa: Isa;
  readonly rootfs: RootfsSpec;
  /** In the order in which they are mounted: a mount below another comes after it. */
  readonly mounts: readonly MountSpec[];
  readonly network: NetworkSpec;
  readonly limits: LimitsSpec;
  /** Absent: docker's default. */
  readonly privileges?: PrivilegesSpec;
  /** What uname(2) reports as the domain's name; absent: `(none)`. */
  readonly domainname?: ByteString;
  /** Size of `/dev/shm`; absent: docker's 64 MiB. */
  readonly shmBytes?: number;
  /** Files below `/proc/sys` and what is to be in them. */
  readonly sysctls?: Readonly<Record<string, ByteString>>;
  /** Devices of the host in the container's `/dev`, or elsewhere. */
  readonly devices?: readonly DeviceSpec[];
  /** The container's own directory below the run directory: sockets live here, never content. */
  readonly runDirectory: ByteString;
  /** Print a line per system call to {@link SentryOptions.log} (`DD_TRACE=1`). */
  readonly trace: boolean;
}

/** What processes of a container may become. */
export interface PrivilegesSpec {
  /** Numbers of the capabilities in the bounding set, which root has; absent: docker's default. */
  readonly capabilities?: readonly number[];
  /** No program gives more rights than who runs it has; see prctl(2). */
  readonly noNewPrivileges: boolean;
}

/** A device of the host. */
export interface DeviceSpec {
  /** Absolute host path of the node. */
  readonly source: ByteString;
  /** Absolute path in the container. */
  readonly target: ByteString;
  readonly block: boolean;
  /** As stat(2) has it. */
  readonly rdev: number;
  /** Permission bits. */
  readonly mode: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** The root file system: an image's layers, below one writable layer. */
export interface RootfsSpec {
  /** The root directory of the image store (`DD_ROOT`). */
  readonly store: ByteString;
  /**
   * Image id in the store (`sha256:...`), `host` for the host's own system directories, or empty for something that
   * is no image (yet): then `layers` is all there is.
   */
  readonly image: string;
  /** The host directories of the image's layers, bottom to top; empty for `host`. */
  readonly layers: readonly ByteString[];
  /** Directory of the container's writable layer: its journal and blobs. It exists, maybe empty. */
  readonly upper: ByteString;
  /** The root is mounted read-only; mounts on it keep their own mode. */
  readonly readOnly: boolean;
}

/** One mount on the container's tree. Missing targets are created, with missing parents, as docker does. */
export type MountSpec = BindMountSpec | VolumeMountSpec | TmpfsMountSpec | TreeMountSpec;

/** A directory, file or socket of the host. */
export interface BindMountSpec {
  readonly kind: "bind";
  /** Absolute host path. It existed when the spec was made. */
  readonly source: ByteString;
  /** Absolute path in the container. */
  readonly target: ByteString;
  readonly readOnly: boolean;
}

/** A named volume: a host directory that belongs to us. */
export interface VolumeMountSpec {
  readonly kind: "volume";
  readonly name: string;
  /** Absolute host path of the volume's data directory. */
  readonly source: ByteString;
  readonly target: ByteString;
  readonly readOnly: boolean;
  /** When the volume is empty, what the image has at `target` is copied into it first. */
  readonly copyUp: boolean;
  /** Only what is at this place in the volume: names joined by `/`, none of them a symlink. */
  readonly subpath?: ByteString;
}

/** A part of a tree made of layers, as the root file system is: what a build step sees of others. */
export interface TreeMountSpec {
  readonly kind: "tree";
  /** The image it is, when it is one. */
  readonly image?: { readonly id: string; readonly name: string };
  /** Host directories of its layers, bottom to top; none: it starts empty. */
  readonly layers: readonly ByteString[];
  /** Host directory of a writable layer, this mount's alone; without one, changes are forgotten. */
  readonly upper?: ByteString;
  /** Absolute path in that tree of what is mounted, a directory or not. */
  readonly path: ByteString;
  readonly target: ByteString;
  readonly readOnly: boolean;
  /** Of the root of a tree that starts empty. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Memory that is gone with the container. */
export interface TmpfsMountSpec {
  readonly kind: "tmpfs";
  readonly target: ByteString;
  readonly readOnly: boolean;
  /** Limit in bytes; absent: half of the host's memory, as tmpfs(5). */
  readonly sizeBytes?: number;
  /** Permission bits of its root; absent: 0o1777. */
  readonly mode?: number;
  /** Owner of its root; absent: root. */
  readonly uid?: number;
  readonly gid?: number;
  readonly noexec: boolean;
}

/** What of a container's network is fixed when it is made. */
export interface NetworkSpec {
  /**
   * `bridge`: addresses of its own in the networks it is attached to; `none`: only loopback; `host`: the
   * host's sockets, undivided; `container`: the network of another container.
   */
  readonly mode: "bridge" | "none" | "host" | "container";
  /** Docker's NetworkMode as it was asked for: `default`, a network's name, `container:ID`; absent: mode. */
  readonly name?: string;
  /**
   * Whether connections may leave the container's networks: all, none, or to what one of the rules names:
   * `host:port`, `*.domain:443`, `10.0.0.0/8`.
   */
  readonly egress: "open" | "closed" | readonly string[];
  /** Ports of the container that the host listens on. */
  readonly publish?: readonly PublishSpec[];
  /** Lines for /etc/hosts: `name:address`, where `host-gateway` stands for the host. */
  readonly extraHosts?: readonly string[];
  /** Name servers in place of the host's. */
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
}

export type TransportProtocol = "tcp" | "udp";

/** A published port: what arrives at the host's goes to the container's. */
export interface PublishSpec {
  readonly protocol: TransportProtocol;
  readonly containerPort: number;
  /** Address of the host; empty: all of both families. */
  readonly hostIp: string;
  /** The first free one from `hostPort` to `hostPortEnd` is taken; 0 takes any free one. */
  readonly hostPort: number;
  readonly hostPortEnd: number;
}

/** A published port as the host has it now. */
export interface PublishedPort {
  readonly protocol: TransportProtocol;
  readonly containerPort: number;
  readonly hostIp: string;
  readonly hostPort: number;
}

/** What of a container in one network is known to the others there. Addresses are text. */
export interface NetworkMember {
  readonly containerId: string;
  readonly containerName: string;
  /** Of its sentry, on the host. */
  readonly pid: number;
  readonly endpointId: string;
  readonly mac: string;
  /** With prefix: `172.18.0.2/16`. */
  readonly ipv4: string;
  /** Empty without IPv6. */
  readonly ipv6: string;
  /** What it is called there: its name, aliases, short id and host name. */
  readonly names: readonly string[];
}

/** Who else is in a network, read afresh at every question. */
export interface NetworkPeers {
  /** Those called `name`; compared without regard to case. */
  named(name: string): readonly NetworkMember[];
  /** Who has an address. */
  at(ip: string): NetworkMember | undefined;
  /** Host path of the socket behind which the sentry with that address is. */
  socketPath(ip: string): string;
}

/** A container's place in one network, made by who keeps networks and served by its sentry. */
export interface NetworkAttachment {
  readonly networkId: string;
  readonly networkName: string;
  /** Without a way out. */
  readonly internal: boolean;
  /** Names of the network's containers are known: not so on docker's default bridge. */
  readonly hasNames: boolean;
  readonly member: NetworkMember;
  /** The subnets, as `172.18.0.0/16`. */
  readonly subnets: readonly string[];
  /** Addresses of the gateways: the host. */
  readonly gateways: readonly string[];
  /** The container's private names for others there: `--link name:alias` as `[alias, name]`. */
  readonly links: readonly (readonly [alias: string, name: string])[];
  /** Who has the default route: the highest. */
  readonly priority: number;
  /** A listening AF_UNIX SOCK_SEQPACKET socket, the sentry's from now on. */
  readonly listener: number;
  readonly peers: NetworkPeers;
}

/** Names of ulimits as docker and limits.conf(5) spell them, without `RLIMIT_`. */
export type UlimitName =
  | "core"
  | "cpu"
  | "data"
  | "fsize"
  | "locks"
  | "memlock"
  | "msgqueue"
  | "nice"
  | "nofile"
  | "nproc"
  | "rss"
  | "rtprio"
  | "rttime"
  | "sigpending"
  | "stack";

/** Bounds on what the container may use. Absent: as much as the user may. */
export interface LimitsSpec {
  readonly memoryBytes?: number;
  /** Processes and threads alive at once. */
  readonly pids?: number;
  /** CPUs' worth of time, such as 1.5. */
  readonly cpus?: number;
  /** The numbers of the CPUs it may use. */
  readonly cpuset?: readonly number[];
  /** Resource limits processes start with; -1 is unlimited. See getrlimit(2). */
  readonly ulimits: readonly {
    readonly name: UlimitName;
    readonly soft: number;
    readonly hard: number;
  }[];
}

/** A process to start from outside: the container's command, or an exec. */
export interface ProcessSpec {
  /** Never empty. A first word without a slash is looked up in the `PATH` of `env`. */
  readonly argv: readonly ByteString[];
  /** `NAME=value`, complete: nothing is added. */
  readonly env: readonly ByteString[];
  /** Absolute. The container's command gets it created when missing; an exec fails with `ENOENT`. */
  readonly cwd: ByteString;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Its root has every capability, whatever the container's has. */
  readonly privileged?: boolean;
}

/** Size of a terminal in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly cols: number;
}

/**
 * What a process's descriptors 0, 1 and 2 are. Host descriptors are duplicated: they stay the caller's.
 * With `terminal` all three are a fresh pty of the container that is its controlling terminal.
 */
export type Stdio =
  | { readonly stdin: number; readonly stdout: number; readonly stderr: number }
  | { readonly terminal: WindowSize };

/** How a process ended. */
export interface ExitStatus {
  /** The exit code, or 128 + the signal's number. */
  readonly code: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
  /** Of a container's first process: some process of the container was killed because memory ran out. */
  readonly oomKilled?: boolean;
}

/** Why a process could not be started. `ENOENT`: 127 for docker; other errors of the program: 126. */
export interface StartFailure {
  readonly errno: Errno;
  /** What failed: the program, its working directory, a limit, or the container itself (125 for docker). */
  readonly what: "program" | "cwd" | "limit" | "container";
  /** One sentence for the user. */
  readonly message: string;
}

/** A process started from outside. */
export interface ProcessHandle {
  /** In the container's pid namespace. */
  readonly pid: number;
  /**
   * With a terminal: the host descriptor of the pty's master, non-blocking, the caller's to read, write and
   * close. It reports POLLHUP when the last process has closed the terminal.
   */
  readonly terminal: number | undefined;
  /** Sends a signal to the process; nothing happens once it has ended. */
  signal(signo: number): void;
  /** Sets the terminal's size and sends SIGWINCH to its foreground group. */
  resize(size: WindowSize): void;
  /** Calls back once, on the loop, with the status; at once (posted) when it has already ended. */
  onExit(callback: (status: ExitStatus) => void): void;
}

/** A row of `top`. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  /** One letter as in proc(5). */
  readonly state: string;
  readonly threads: number;
  readonly cpuMs: number;
  /** Its address space, and what of that is in memory. */
  readonly virtualBytes: number;
  readonly residentBytes: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The arguments joined by blanks, or the name in brackets. */
  readonly command: ByteString;
}

/** Limits that a container which runs can be given anew; absent: as before. */
export type LimitsUpdate = Pick<LimitsSpec, "memoryBytes" | "pids" | "cpus">;

/** What went through a container's network interface. */
export interface InterfaceStats {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly txBytes: number;
  readonly txPackets: number;
}

export interface ContainerStats {
  readonly cpuMs: number;
  /** CPU time of all its processes, those that have ended included, in nanoseconds. */
  readonly cpuUserNs: number;
  readonly cpuSystemNs: number;
  /** Of its processes: what a control group counts, or what they have resident. */
  readonly memoryBytes: number;
  /** What the sentry itself has resident: the price of the container beside its own memory. */
  readonly sentryMemoryBytes: number;
  readonly memoryLimitBytes: number | undefined;
  /** Processes and threads. */
  readonly pids: number;
  readonly pidsLimit: number | undefined;
  readonly interfaces: readonly InterfaceStats[];
  /** Bytes that its files cost the host's disks. */
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
}

/** One layer of confinement around the container's guest code, as it was applied. */
export interface ConfinementLayer {
  /** Stable word: `seccomp`, `landlock`, `namespaces`, `rlimits`, ... */
  readonly name: string;
  readonly active: boolean;
  /** What it holds back, or why it is not there. */
  readonly detail: string;
}

export interface SentryOptions {
  /** Receives diagnostics and trace lines, without newline. */
  readonly log: (line: string) => void;
  /** The networks it is in from the beginning. */
  readonly networks?: readonly NetworkAttachment[];
  /**
   * Host path of the socket where its network can be shared by other sentries, or, with mode `container`, of
   * the one whose network it is to have.
   */
  readonly share?: { readonly at: string } | { readonly with: string };
  /** The subnets of all networks there are, at the time of asking: those it is not in are unreachable. */
  readonly allSubnets?: () => readonly string[];
  /** Receives what the container tried to reach, and whether it may. */
  readonly egressLog?: (attempt: EgressAttempt) => void;
  /** Called whenever a program is about to run: mapped, and never before `start` has returned. */
  readonly entered?: () => void;
}

/** One attempt to leave the container's networks. */
export interface EgressAttempt {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly protocol: TransportProtocol | "icmp" | "dns";
  /** Address, or for `dns` the name that was asked for. */
  readonly host: string;
  readonly port: number;
  /** The names under which the container has looked the address up. */
  readonly names: readonly string[];
  readonly allowed: boolean;
  /** The rule that decided: one of the spec's, or `open` or `closed`. */
  readonly rule: string;
}

/**
 * One container's sentry. The class `Sentry` of sentry/sentry.ts implements it: `new Sentry(spec, options)`
 * opens everything the spec names and throws an `Error` with a stable `code` when it cannot.
 */
export interface SentryContainer {
  /** The loop everything runs on; also what log pipes and control sockets are watched with. */
  readonly reactor: Reactor;
  readonly files: ContainerFiles;
  /** Starts pid 1. To be called once, before any `exec`. */
  start(process: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure;
  /** Starts a further process. Its parent in the container is 0. */
  exec(process: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure;
  /** Live processes in the order of their pids. */
  processes(): readonly ProcessInfo[];
  stats(): ContainerStats;
  /** Freezes all processes, or lets them go on. Harmless when they are so already. */
  setPaused(paused: boolean): void;
  readonly isPaused: boolean;
  /**
   * Changes limits of the running container.
   * @returns what could not be enforced before its next start, in a sentence each.
   */
  update(limits: LimitsUpdate): readonly string[];
  /** Ports of the host that lead to the container, with the numbers they really have. */
  publishedPorts(): readonly PublishedPort[];
  /** Joins a network. */
  attachNetwork(attachment: NetworkAttachment): void;
  /** Leaves a network: connections there are reset. */
  detachNetwork(networkId: string): void;
  /** Known once `start` has returned. Without a boundary in trusted mode: only what limits the container. */
  confinement(): readonly ConfinementLayer[];
  /**
   * Ends what still runs, writes the upper layer's snapshot and frees everything. Called once pid 1 has
   * ended (its `onExit` comes after every other process of the container is gone) or instead of `start`.
   * @returns does what is of use for the next start, and nobody should have to wait for.
   */
  close(): (() => void) | undefined;
}

/** What is at a path of a container, as docker's archive calls tell it. */
export interface PathStat {
  /** The last name of the path that was asked for. */
  readonly name: ByteString;
  readonly size: number;
  /** Go's os.FileMode: not `st_mode`. */
  readonly mode: number;
  /** RFC 3339 with nanoseconds. */
  readonly mtime: string;
  /** Of a symlink: the absolute path it leads to in the end. Else empty. */
  readonly linkTarget: ByteString;
}

export interface UnpackOptions {
  /** Refuse to replace a directory by something else, or something else by a directory. */
  readonly noOverwriteDirNonDir: boolean;
  /** Who everything is to belong to; absent: whom the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** What can be wrong with a wish to copy files into or out of a container. */
export type FilesErrorCode =
  /** There is nothing at that path. */
  | "PATH_NOT_FOUND"
  /** The path, or what it goes through, is not what it has to be. */
  | "PATH_INVALID"
  | "ROOT_READ_ONLY"
  | "VOLUME_READ_ONLY"
  /** A directory would take the place of something else, or the other way round. */
  | "CANNOT_OVERWRITE"
  /** An entry of the archive would end up outside of where it is unpacked. */
  | "ARCHIVE_ESCAPES"
  /** The archive cannot be read. */
  | "BAD_ARCHIVE"
  /** The file system said no: no space left, a limit of a volume... */
  | "FILES_FAILED";

/** One path that differs from the image. */
export interface FileChange {
  /** Absolute. */
  readonly path: ByteString;
  readonly kind: "modified" | "added" | "deleted";
}

/**
 * The files of a container, of one that runs or of one that is only opened. Paths need not begin with a
 * slash; symlinks lead within the container. What cannot be done throws an `Error` whose `code` is a
 * {@link FilesErrorCode}, also while pieces of an archive are taken.
 */
export interface ContainerFiles {
  /**
   * Reads a file as the container's root user sees it now, mounts included; for passwd(5) and group(5).
   * @returns its first `limitBytes` bytes, or the error of open(2).
   */
  read(path: ByteString, limitBytes: number): Uint8Array | Errno;
  /** What is at `path`: a symlink itself, unless a slash follows it. */
  stat(path: ByteString): PathStat;
  /** A tar of what {@link stat} describes and all below it, under its own name. */
  pack(path: ByteString): Iterable<Uint8Array>;
  /** Unpacks a tar, not compressed, into the directory `path`. */
  unpack(
    path: ByteString,
    options: UnpackOptions,
    source: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  /** What differs from the image, a directory before what is in it. */
  changes(): Iterable<FileChange>;
  /** A tar of the whole root file system, without what is mounted on it. */
  export(): Iterable<Uint8Array>;
  /**
   * What differs from the image as a layer: a tar with whiteouts.
   * @param without absolute paths that something was mounted on, and that are left out when they are new and empty
   */
  layer(without?: ReadonlySet<ByteString>): Iterable<Uint8Array>;
}

/** The constructor's shape, for whoever is handed an implementation. */
export type SentryConstructor = new (
  spec: ContainerSpec,
  options: SentryOptions,
) => SentryContainer;

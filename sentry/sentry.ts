/** One container's sentry: kernel, files, and the machine that runs its guest code, put together. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ByteString, fromText, toText } from "./abi/bytes.ts";
import { EACCES, EINVAL, EISDIR, ENOENT, ENOTDIR, Errno } from "./abi/errno.ts";
import { O_RDWR, S_IFDIR } from "./abi/file.ts";
import { TreeFiles } from "./archive/container-files.ts";
import { confineSentry } from "./confine-sentry.ts";
import { Dispatcher } from "./dispatch.ts";
import { buildMounts, type ContainerTree } from "./fs/build-mounts.ts";
import { HostStream } from "./fs/host-stream.ts";
import { Devpts } from "./fs/tty/devpts.ts";
import type { Pty } from "./fs/tty/pty.ts";
import { TerminalPump } from "./fs/tty/terminal-pump.ts";
import { EpollReactor } from "./host/epoll-reactor.ts";
import { close as closeFd } from "./host/io.ts";
import { HOST_ISA } from "./host/isa.ts";
import type { Reactor } from "./host/reactor.ts";
import { connectMessages, listenMessages } from "./host/unix-stream.ts";
import { ALL_CAPABILITIES, initialCredentials } from "./kernel/capabilities.ts";
import { FdTable } from "./kernel/fd-table.ts";
import { Kernel } from "./kernel/kernel.ts";
import { type Limit, Limits, RLIM_INFINITY } from "./kernel/limits.ts";
import { KernelInfo } from "./kernel/proc-info.ts";
import type { Process } from "./kernel/process.ts";
import { sendToProcess } from "./kernel/send-signal.ts";
import { fromKernel } from "./kernel/siginfo.ts";
import { startProcess } from "./kernel/start-process.ts";
import { ExecutorMachine } from "./machine/executor-machine.ts";
import { blockTransfer, hostResidentBytes } from "./machine/host-usage.ts";
import { RingHub } from "./machine/hub.ts";
import { launcherPath } from "./machine/launcher.ts";
import { HostLimits, hostTasks } from "./machine/limits.ts";
import { SentryLoop } from "./machine/loop.ts";
import { HostMemoryMap } from "./machine/memory-map.ts";
import { EgressPolicy } from "./net/egress.ts";
import { etcFiles, nameServers, usesNameServer } from "./net/etc-files.ts";
import type { NetworkOptions } from "./net/namespace.ts";
import { openLower } from "./open-lower.ts";
import type {
  ConfinementLayer,
  ContainerFiles,
  ContainerSpec,
  ContainerStats,
  ExitStatus,
  InterfaceStats,
  LimitsUpdate,
  NetworkAttachment,
  ProcessHandle,
  ProcessInfo,
  ProcessSpec,
  PublishedPort,
  SentryContainer,
  SentryOptions,
  StartFailure,
  Stdio,
  UlimitName,
  WindowSize,
} from "./spec.ts";
import { Translations } from "./translations/translations.ts";
import { type Credentials, capabilityMask } from "./vfs/credentials.ts";
import type { FsContext } from "./vfs/fs-context.ts";
import { inodeAt } from "./vfs/mount.ts";
import { lookup } from "./vfs/resolve.ts";

/** Resource numbers of getrlimit(2), as `--ulimit` names them. */
const ULIMITS: Readonly<Record<UlimitName, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

const SHARED_NETWORK_BACKLOG = 64;
/** Threads and processes of a container without `--pids-limit`, as the host counts them. */
const DEFAULT_TASKS = 32_768;
const MACHINE_NAMES = { x86_64: "x86_64", arm64: "aarch64" } as const;

/** A process's terminal as its caller sees it. */
interface OpenTerminal {
  /** The host descriptor behind which its master is; the caller's. */
  readonly fd: number;
  readonly pty: Pty;
}

/** See {@link SentryContainer}. */
export class Sentry implements SentryContainer {
  readonly #spec: ContainerSpec;
  readonly #reactor = new EpollReactor();
  readonly #kernel: Kernel;
  readonly #terminals: Devpts;
  readonly #tree: ContainerTree;
  readonly #files: ContainerFiles;
  readonly #machine: ExecutorMachine;
  /** Where the container's programs are translated. */
  readonly #translations: Translations | undefined;
  readonly #loop: SentryLoop;
  readonly #hostLimits: HostLimits;
  readonly #startedAtMs = Date.now();
  #paused = false;
  /** As they are now; see {@link update}. */
  #limited: LimitsUpdate;

  constructor(spec: ContainerSpec, options: SentryOptions) {
    this.#spec = spec;
    this.#limited = spec.limits;
    const kernel = new Kernel({
      reactor: this.#reactor,
      hostname: spec.hostname,
      network: networkOptions(spec, options),
      log: options.log,
      ...(spec.limits.pids === undefined ? {} : { maxTasks: spec.limits.pids }),
      ...(spec.limits.memoryBytes === undefined ? {} : { memoryLimit: spec.limits.memoryBytes }),
      trace: spec.trace ? options.log : undefined,
    });
    this.#kernel = kernel;
    if (spec.domainname !== undefined) kernel.domainname = spec.domainname;
    try {
      kernel.network.publish(spec.network.publish ?? []);
    } catch (error) {
      kernel.network.close();
      this.#reactor.close();
      throw error;
    }
    this.#terminals = new Devpts(this.#reactor, kernel.jobControl);
    this.#tree = buildMounts({
      lower: openLower(spec),
      upper: spec.rootfs.upper,
      readOnly: spec.rootfs.readOnly,
      mounts: spec.mounts,
      scratch: `${spec.rootfs.upper}/scratch`,
      etc: kernel.network.etcFiles,
      system: new KernelInfo(kernel, MACHINE_NAMES[spec.isa], spec.sysctls),
      reactor: this.#reactor,
      devpts: this.#terminals,
      devices: spec.devices ?? [],
      ...(spec.shmBytes === undefined ? {} : { shmBytes: spec.shmBytes }),
    });
    this.#files = new TreeFiles(this.#tree);
    this.#terminals.register(this.#tree.namespace.special);
    const hub = new RingHub();
    if (spec.isa !== HOST_ISA) {
      this.#translations = new Translations(
        join(toText(spec.rootfs.store), "translations"),
        launcherPath(spec.isa),
        options.log,
      );
    }
    this.#hostLimits = new HostLimits(spec, options.log);
    try {
      this.#machine = new ExecutorMachine({
        hub,
        guest: spec.isa,
        reactor: this.#reactor,
        events: new Dispatcher(kernel),
        log: options.log,
        ...(this.#translations === undefined ? {} : { translations: this.#translations }),
        mayHost: this.#hostLimits.mayHost,
        entered: options.entered,
        launched: (pid, build) => {
          this.#hostLimits.apply(pid);
          if (this.#translations !== undefined) this.#translations.build = build;
        },
        ...(spec.mode === "trusted"
          ? {}
          : {
              confinement: {
                processes: hostTasks(spec.limits.pids ?? DEFAULT_TASKS),
                memoryBytes: this.#hostLimits.processBytes,
                confineSentry: () => confineSentry(spec),
              },
            }),
      });
    } catch (error) {
      this.#hostLimits.close();
      this.#tree.release();
      throw error;
    }
    kernel.machine = this.#machine;
    kernel.memoryMap = new HostMemoryMap(this.#machine);
    const machine = this.#machine;
    this.#hostLimits.watch(this.#reactor, machine);
    this.#hostLimits.throttle(this.#reactor, machine.freezer, () => {
      const { userNs, systemNs } = this.#usage();
      return userNs + systemNs;
    });
    this.#loop = new SentryLoop(hub, this.#reactor, {
      submitted: (raw) => machine.freezer.submitted(raw),
      violated: (ring, what) => machine.violated(ring, what),
    });
  }

  get files(): ContainerFiles {
    return this.#files;
  }

  get reactor(): Reactor {
    return this.#reactor;
  }

  start(spec: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure {
    this.#tree.ownBinds(spec.uid, spec.gid);
    const started = this.#run(spec, stdio, true);
    if (!("errno" in started)) this.#loop.start();
    return started;
  }

  exec(spec: ProcessSpec, stdio: Stdio): ProcessHandle | StartFailure {
    return this.#run(spec, stdio, false);
  }

  processes(): readonly ProcessInfo[] {
    const list: ProcessInfo[] = [];
    for (const process of this.#kernel.pids.processes()) {
      const usage = this.#machine.usage(process);
      const running = process.state === "running";
      const memory = running ? this.#kernel.memoryMap?.use(process) : undefined;
      const argv = process.program?.argv ?? [];
      list.push({
        pid: process.pid,
        ppid: process.parent?.pid ?? 0,
        uid: process.leader?.credentials.ruid ?? 0,
        state: running ? "S" : "Z",
        threads: process.tasks.size,
        cpuMs: Number((usage.userNs + usage.systemNs) / 1_000_000n),
        virtualBytes: memory?.virtual ?? 0,
        residentBytes: memory?.resident ?? 0,
        startedAt:
          this.#startedAtMs + Number((process.startedNs - this.#kernel.bootNs) / 1_000_000n),
        command: argv.length > 0 ? argv.join(" ") : `[${process.leader?.name ?? ""}]`,
      });
    }
    return list;
  }

  stats(): ContainerStats {
    const { userNs, systemNs } = this.#usage();
    const block = blockTransfer(this.#machine.pids());
    let pids = 0;
    for (const { tasks } of this.#kernel.pids.processes()) pids += tasks.size;
    const { memoryBytes, pids: pidsLimit } = this.#limited;
    return {
      cpuMs: Number((userNs + systemNs) / 1_000_000n),
      cpuUserNs: Number(userNs),
      cpuSystemNs: Number(systemNs),
      memoryBytes: this.#hostLimits.memoryBytes(this.#machine) + this.#hostedBytes(),
      sentryMemoryBytes: hostResidentBytes(process.pid),
      memoryLimitBytes: memoryBytes,
      pids,
      pidsLimit,
      interfaces: this.#interfaces(),
      blockReadBytes: block.read,
      blockWriteBytes: block.written,
    };
  }

  /** What went through the container's own interfaces, put down to the first: they are not told apart. */
  #interfaces(): readonly InterfaceStats[] {
    const { network } = this.#kernel;
    if (network.mode === "host") return [];
    const names = network
      .interfaces()
      .map(({ name }) => name)
      .filter((name) => name !== "lo");
    const none = { rxBytes: 0, rxPackets: 0, txBytes: 0, txPackets: 0 };
    return names.map((name, i) => ({ name, ...(i === 0 ? network.traffic.counts() : none) }));
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#machine.freezer.hold("paused");
    else this.#machine.freezer.release("paused");
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  update(limits: LimitsUpdate): readonly string[] {
    const { memoryBytes, pids } = limits;
    const late = this.#hostLimits.update(limits);
    if (pids !== undefined) this.#kernel.pids.maxTasks = pids;
    if (memoryBytes !== undefined) this.#kernel.memoryLimit = memoryBytes;
    this.#limited = { ...this.#limited, ...limits };
    return late;
  }

  /** What this very process has grown by since a guest runs in it. */
  #hostedBytes(): number {
    for (const { hostedTid, residentBefore } of this.#machine.executors()) {
      if (hostedTid !== undefined) {
        return Math.max(0, hostResidentBytes(process.pid) - residentBefore);
      }
    }
    return 0;
  }

  /** CPU time of all processes there have been. */
  #usage(): { readonly userNs: bigint; readonly systemNs: bigint } {
    let { userNs, systemNs } = this.#kernel.pastUsage;
    for (const process of this.#kernel.pids.processes()) {
      const usage = this.#machine.usage(process);
      userNs += usage.userNs;
      systemNs += usage.systemNs;
    }
    return { userNs, systemNs };
  }

  publishedPorts(): readonly PublishedPort[] {
    return this.#kernel.network.published?.list() ?? [];
  }

  attachNetwork(attachment: NetworkAttachment): void {
    this.#kernel.network.attach(attachment);
  }

  detachNetwork(networkId: string): void {
    this.#kernel.network.detach(networkId);
  }

  confinement(): readonly ConfinementLayer[] {
    const layers = this.#spec.mode === "trusted" ? [] : UNTRUSTED_LAYERS;
    return [...layers, ...this.#hostLimits.layers];
  }

  close(): (() => void) | undefined {
    this.#loop.stop();
    this.#machine.close();
    const prepareNext = this.#translations?.close();
    this.#kernel.network.close();
    this.#hostLimits.close();
    this.#tree.release();
    this.#reactor.close();
    return prepareNext;
  }

  #run(spec: ProcessSpec, stdio: Stdio, first: boolean): ProcessHandle | StartFailure {
    const fs = this.#tree.context();
    const credentials = this.#credentials(spec);
    const cwd = this.#enter(fs, spec, first);
    if (cwd !== undefined) return cwd;
    const limits = this.#limits();
    if (!(limits instanceof Limits)) return limits;
    const files = new FdTable();
    const terminal =
      "terminal" in stdio ? this.#openTerminal(files, stdio.terminal, credentials) : undefined;
    const failed = "terminal" in stdio ? undefined : this.#openStdio(files, stdio);
    if (failed !== undefined) return failed;
    if (terminal !== undefined && "errno" in terminal) return terminal;
    const name = this.#find(fs, spec);
    const started =
      name instanceof Errno
        ? name
        : startProcess(this.#kernel, {
            name,
            argv: spec.argv,
            envp: spec.env,
            fs,
            files,
            credentials,
            limits,
            noNewPrivileges: this.#spec.privileges?.noNewPrivileges ?? false,
          });
    if (started instanceof Errno) {
      if (name instanceof Errno) files.leave();
      if (terminal !== undefined) closeFd(terminal.fd);
      // To execute a directory is EACCES. Who starts something wants to know that it is one.
      const errno = started === EACCES && this.#isDirectory(fs, name) ? EISDIR : started;
      return { errno, what: "program", message: `${toText(spec.argv[0] ?? "")}: ${errno.text}` };
    }
    if (terminal !== undefined) terminal.pty.becomeControlling(started.leader);
    return this.#handle(started, terminal);
  }

  #credentials({ uid, gid, groups, privileged }: ProcessSpec) {
    if (privileged === true) return initialCredentials(uid, gid, groups, ALL_CAPABILITIES);
    const { capabilities } = this.#spec.privileges ?? {};
    return capabilities === undefined
      ? initialCredentials(uid, gid, groups)
      : initialCredentials(uid, gid, groups, capabilityMask(...capabilities));
  }

  /** Makes the working directory the context's. */
  #enter(fs: FsContext, spec: ProcessSpec, create: boolean): StartFailure | undefined {
    const actor = { fs, credentials: initialCredentials(0, 0, []), tid: 0, process: { pid: 0 } };
    if (create) this.#tree.makeDirectory(spec.cwd);
    const found = lookup(actor, fs.root, spec.cwd);
    const errno =
      found instanceof Errno ? found : inodeAt(found).type === S_IFDIR ? undefined : ENOTDIR;
    if (errno !== undefined || found instanceof Errno) {
      const reason = errno ?? ENOENT;
      const message = `Working directory ${toText(spec.cwd)}: ${reason.text}`;
      return { errno: reason, what: "cwd", message };
    }
    fs.cwd = found;
    return undefined;
  }

  /** A fresh pty as the standard streams, its master pumped to a descriptor for the caller. */
  #openTerminal(
    files: FdTable,
    size: WindowSize,
    credentials: Credentials,
  ): OpenTerminal | StartFailure {
    const opened = this.#terminals.openTerminal({ credentials }, size, O_RDWR);
    const fd = opened instanceof Errno ? opened : TerminalPump.open(this.#reactor, opened.master);
    if (opened instanceof Errno || fd instanceof Errno) {
      const errno = opened instanceof Errno ? opened : (fd as Errno);
      return { errno, what: "container", message: `Terminal: ${errno.text}` };
    }
    const { slave, master } = opened;
    const limit = Number.POSITIVE_INFINITY;
    for (const file of [slave, slave.retain(), slave.retain()]) {
      files.install(file, { cloexec: false, limit });
    }
    return { fd, pty: master.pty };
  }

  #openStdio(
    files: FdTable,
    stdio: Exclude<Stdio, { readonly terminal: WindowSize }>,
  ): StartFailure | undefined {
    const limit = Number.POSITIVE_INFINITY;
    for (const fd of [stdio.stdin, stdio.stdout, stdio.stderr]) {
      const file = HostStream.open(this.#reactor, fd);
      if (file instanceof Errno) {
        files.leave();
        return { errno: file, what: "container", message: `Standard stream ${fd}: ${file.text}` };
      }
      files.install(file, { cloexec: false, limit });
    }
    return undefined;
  }

  /** The program's path: as it stands, or the first executable of that name in PATH. */
  #isDirectory(fs: FsContext, name: ByteString | Errno): boolean {
    if (name instanceof Errno) return false;
    const actor = { fs, credentials: initialCredentials(0, 0, []), tid: 0, process: { pid: 0 } };
    const found = lookup(actor, fs.cwd, name);
    return !(found instanceof Errno) && inodeAt(found).type === S_IFDIR;
  }

  /** The program in the first directory of PATH that has one that can be executed. */
  #find(fs: FsContext, spec: ProcessSpec): ByteString | Errno {
    const name = spec.argv[0] ?? "";
    if (name.includes("/")) return name;
    if (name === "") return ENOENT;
    const path = spec.env.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
    const actor = {
      fs,
      credentials: this.#credentials(spec),
      tid: 0,
      process: { pid: 0 },
    };
    for (const directory of path.split(":")) {
      const candidate = `${directory === "" ? "." : directory}/${name}`;
      const opened = this.#kernel.openProgram(actor, fs.cwd, candidate);
      if (opened instanceof Errno) continue;
      opened.file.close();
      return candidate;
    }
    return ENOENT;
  }

  #limits(): Limits | StartFailure {
    const number = (value: number) => (value < 0 ? RLIM_INFINITY : BigInt(value));
    const overrides = new Map<number, Limit>();
    for (const { name, soft, hard } of this.#spec.limits.ulimits) {
      const limit = { cur: number(soft), max: number(hard) };
      if (limit.cur > limit.max) {
        const message = `error setting rlimit type ${ULIMITS[name]}: invalid argument`;
        return { errno: EINVAL, what: "limit", message };
      }
      overrides.set(ULIMITS[name], limit);
    }
    return new Limits(overrides);
  }

  #handle(process: Process, terminal: OpenTerminal | undefined): ProcessHandle {
    return {
      pid: process.pid,
      terminal: terminal?.fd,
      signal: (signo) => {
        if (process.state === "running")
          sendToProcess(process, fromKernel(signo), { outside: true });
      },
      resize: ({ rows, cols }: WindowSize) =>
        terminal?.pty.resize({ row: rows, col: cols, xpixel: 0, ypixel: 0 }),
      onExit: (callback) => this.#onExit(process, callback),
    };
  }

  #onExit(process: Process, callback: (status: ExitStatus) => void): void {
    if (process.isInit) {
      this.#kernel.onEnd((status) => {
        const oomKilled = this.#hostLimits.oomKilled;
        callback({ ...exitStatus(status), ...(oomKilled ? { oomKilled } : {}) });
      });
      return;
    }
    const report = () => callback(exitStatus(process.exitStatus));
    if (process.state !== "running") {
      this.#reactor.post(report);
      return;
    }
    const unsubscribe = process.exitEvents.subscribe(1, () => {
      unsubscribe();
      this.#reactor.post(report);
    });
  }
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A wait status, as a shell would put it. */
function exitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { code: 128 + signal, signal };
}

/** The container's network as its namespace is to be made. */
function networkOptions(spec: ContainerSpec, options: SentryOptions): NetworkOptions {
  const { network } = spec;
  const policy = new EgressPolicy(network.egress, options.egressLog);
  const { networks } = options;
  const own = network.dns ?? [];
  const servers = () => (own.length > 0 ? own : nameServers(hostFile("/etc/resolv.conf")));
  const hostResolvConf = hostFile("/etc/resolv.conf");
  const resolves = usesNameServer({ network, networks: networks ?? [], hostResolvConf });
  const share = shareOf(spec, options);
  return {
    mode: network.mode === "container" ? "bridge" : network.mode,
    etcFiles: etcFiles({
      hostname: spec.hostname,
      domainname: spec.domainname,
      network,
      networks: networks ?? [],
      hostResolvConf,
      hostHosts: hostFile("/etc/hosts"),
    }),
    ...(share === undefined ? {} : { share }),
    egress: (to, protocol, alias) => policy.mayReach(to, protocol, alias),
    hostSockets: spec.mode === "trusted",
    ...(networks === undefined ? {} : { networks }),
    ...(options.allSubnets === undefined ? {} : { allSubnets: options.allSubnets }),
    ...(resolves ? { resolver: { servers, policy } } : {}),
  };
}

/** How the network is shared with other sentries: as a member of another's, or so that others can be of this. */
function shareOf(spec: ContainerSpec, { share }: SentryOptions): NetworkOptions["share"] {
  if (spec.network.mode === "host" || share === undefined) return undefined;
  if ("with" in share) {
    const hub = connectMessages(share.with);
    if (hub instanceof Errno) throw new Error(`The network at ${share.with}: ${hub.text}`);
    return { hub };
  }
  const listen = listenMessages(share.at, SHARED_NETWORK_BACKLOG);
  if (listen instanceof Errno) throw new Error(`The socket ${share.at}: ${listen.text}`);
  return { listen };
}

/** A file of the host, as it is now; empty when there is none. */
function hostFile(path: string): ByteString {
  try {
    return fromText(readFileSync(path, "utf8"));
  } catch {
    return "";
  }
}

const UNTRUSTED_LAYERS: readonly ConfinementLayer[] = [
  { name: "namespaces", active: true, detail: "user, mount, pid, network, ipc, uts, cgroup" },
  { name: "empty root", active: true, detail: "no file of the host, no /proc" },
  { name: "capabilities", active: true, detail: "none, and no_new_privs" },
  { name: "landlock", active: true, detail: "no path, no port, no signal to others" },
  { name: "seccomp", active: true, detail: "every call traps but memory, futex and exit" },
  { name: "rlimits", active: true, detail: "processes, files, core" },
  { name: "sentry", active: true, detail: "Landlock to its store, mounts and run directory" },
];

import { join } from "node:path";
import type { JsonObject } from "../../api/engine/json.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { configOf } from "../../sentry/container/container-config.ts";
import type { Health } from "../../sentry/container/health.ts";
import { INIT_TARGET } from "../../sentry/container/init-program.ts";
import { isMeant, wantedNetworks } from "../../sentry/container/network/container-networks.ts";
import { linkText, parseLink } from "../../sentry/container/network/links.ts";
import { DEFAULT_NETWORK } from "../../sentry/container/network/network-record.ts";
import type { Container, ContainerRecord, ContainerState } from "../../sentry/container/record.ts";
import { LOG_FILE } from "../../sentry/container/streams.ts";
import type { NetworkSpec } from "../../sentry/spec.ts";
import type { DaemonContext } from "../context.ts";
import { describeNetworks } from "../networks/describe.ts";
import { findContainer } from "../networks/find.ts";
import { describeMounts } from "./describe-mounts.ts";
import { describeFailure } from "./start-failure.ts";
import { goTime, type StatusWord } from "./status.ts";

const SHM_BYTES = 64 * 1024 * 1024;

/** What is known of a container beside its files. */
export interface LiveFacts {
  readonly status: StatusWord;
  readonly execIds: readonly string[];
  readonly health: Health | undefined;
}

function describeHealth(health: Health | undefined): JsonObject {
  if (health === undefined) return { Status: "starting", FailingStreak: 0, Log: [] };
  return {
    Status: health.status,
    FailingStreak: health.failingStreak,
    Log: health.log.map(({ start, end, exitCode, output }) => ({
      Start: goTime(start),
      End: goTime(end),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** A container as `GET /containers/{id}/json` tells it. */
export function describeContainer(
  context: Pick<DaemonContext, "store" | "networks">,
  container: Container,
  { status, execIds, health }: LiveFacts,
): JsonObject {
  const { record, state } = container;
  const { spec } = record;
  const { id } = spec;
  const directory = context.store.directoryOf(id);
  const argv = commandOf(record);
  const [path = "", ...args] = argv;
  const isRunning = state.status === "running";
  return {
    Id: id,
    Created: goTime(record.createdAt),
    Path: path,
    Args: args,
    State: {
      Status: status,
      Running: isRunning || status === "restarting",
      Paused: status === "paused",
      Restarting: status === "restarting",
      OOMKilled: state.status === "exited" && state.oomKilled === true,
      Dead: false,
      Pid: isRunning ? state.pid : 0,
      ...outcomeOf(record, state),
      StartedAt: goTime(state.status === "created" ? 0 : state.startedAt),
      FinishedAt: goTime(state.status === "exited" ? state.finishedAt : 0),
      ...(record.health === undefined ? {} : { Health: describeHealth(health) }),
    },
    Image: spec.rootfs.image,
    ResolvConfPath: join(directory, "resolv.conf"),
    HostnamePath: join(directory, "hostname"),
    HostsPath: join(directory, "hosts"),
    LogPath: join(directory, LOG_FILE),
    Name: `/${record.name}`,
    RestartCount: state.status === "created" ? 0 : (state.restartCount ?? 0),
    Driver: "dd",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: execIds.length === 0 ? null : execIds,
    HostConfig: { ...hostConfigOf(record), ...linksOf(context, record) },
    GraphDriver: { Name: "dd", Data: null },
    Mounts: describeMounts(record),
    Config: configOf(record),
    NetworkSettings: describeNetworks(context, container),
    // What docker has no word for.
    Mode: spec.mode,
  };
}

/** Its exit code, and why it is not its command's. */
function outcomeOf({ process }: ContainerRecord, state: ContainerState): JsonObject {
  if (state.status !== "exited") return { ExitCode: 0, Error: "" };
  const { exitCode, error = "", startedAt } = state;
  return startedAt === 0
    ? describeFailure(state, process.argv.map(toText), toText(process.cwd))
    : { ExitCode: exitCode, Error: error };
}

/** The command in one line, as lists have it. */
export function commandText(record: ContainerRecord): string {
  const [path = "", ...args] = commandOf(record);
  return [path, ...args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");
}

/** The command without the init that was put before it. */
function commandOf({ process, engine }: ContainerRecord): readonly string[] {
  const argv = process.argv.map(toText);
  return engine !== undefined && argv[0] === INIT_TARGET ? argv.slice(2) : argv;
}

function hostConfigOf(record: ContainerRecord): JsonObject {
  const { spec, engine, restart } = record;
  const asked = Object.fromEntries(
    Object.entries(engine?.hostConfig ?? {}).filter(([, value]) => value != null),
  );
  const logConfig = asked["LogConfig"] as { Type?: string; Config?: object } | undefined;
  return {
    ...DEFAULTS,
    ...(asked["Privileged"] === true ? { MaskedPaths: null, ReadonlyPaths: null } : {}),
    ...asked,
    IpcMode: asked["IpcMode"] || DEFAULTS.IpcMode,
    NetworkMode: networkModeOf(spec.network),
    LogConfig: { Type: logConfig?.Type || "json-file", Config: logConfig?.Config ?? {} },
    RestartPolicy: {
      Name: restart?.name ?? "no",
      MaximumRetryCount: restart?.maximumRetryCount ?? 0,
    },
    AutoRemove: record.autoRemove,
    ReadonlyRootfs: spec.rootfs.readOnly,
    Runtime: asked["Runtime"] || spec.mode,
    Memory: spec.limits.memoryBytes ?? 0,
    PidsLimit: spec.limits.pids ?? null,
    ShmSize: asked["ShmSize"] || SHM_BYTES,
  };
}

/** Links in the default network, with both containers' names as they are now. */
function linksOf(
  { store, networks }: Pick<DaemonContext, "store" | "networks">,
  record: ContainerRecord,
): JsonObject {
  const bridge = networks.find(DEFAULT_NETWORK);
  const directory = store.directoryOf(record.spec.id);
  const settings = wantedNetworks({ record, directory }).find((each) =>
    isMeant(each, bridge),
  )?.settings;
  if (settings === undefined) return {};
  const links = settings.links.map(parseLink).map(({ name, alias }) => {
    const other = findContainer({ store }, name)?.record.name ?? name;
    return linkText(record.name, { name: other, alias });
  });
  return { Links: links.length === 0 ? null : links };
}

/** Docker's word for how a container is on the network. */
export function networkModeOf({ name, mode }: NetworkSpec): string {
  return name === undefined || name === "default" ? mode : name;
}

/** What docker shows where nothing was asked for. */
const DEFAULTS = {
  Binds: null,
  ContainerIDFile: "",
  PortBindings: {},
  VolumeDriver: "",
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: "private",
  Dns: null,
  DnsOptions: null,
  DnsSearch: null,
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: "private",
  Cgroup: "",
  Links: null,
  OomScoreAdj: 0,
  PidMode: "",
  Privileged: false,
  PublishAllPorts: false,
  SecurityOpt: null,
  UTSMode: "",
  UsernsMode: "",
  Isolation: "",
  CpuShares: 0,
  NanoCpus: 0,
  CgroupParent: "",
  BlkioWeight: 0,
  BlkioWeightDevice: null,
  BlkioDeviceReadBps: null,
  BlkioDeviceWriteBps: null,
  BlkioDeviceReadIOps: null,
  BlkioDeviceWriteIOps: null,
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: "",
  CpusetMems: "",
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  Ulimits: null,
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
  ],
  ReadonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
};

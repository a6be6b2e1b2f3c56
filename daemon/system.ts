import { readFileSync } from "node:fs";
import { arch, cpus, hostname, release, totalmem } from "node:os";
import type { JsonObject } from "../api/engine/json.ts";
import type { EventsChoice, SystemEngine } from "../api/engine/system.ts";
import { API_VERSION, ENGINE_VERSION, MIN_API_VERSION } from "../api/version.ts";
import { ControlGroup } from "../sentry/host/control-group.ts";
import type { Builds } from "./build.ts";
import type { Listed } from "./container/list.ts";
import type { DaemonContext } from "./context.ts";
import { describeRegistries } from "./images/registries.ts";
import type { Images } from "./images.ts";
import type { Volumes } from "./volumes.ts";

const GO_ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const UNAME_ARCH: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** The engine as a whole. */
export class System implements SystemEngine {
  private readonly context: DaemonContext;
  private readonly listed: () => readonly Listed[];
  private readonly images: Images;
  private readonly volumes: Pick<Volumes, "usage">;
  private readonly builds: Pick<Builds, "usage">;
  private readonly containers: () => Promise<readonly JsonObject[]>;
  private readonly startedAt = new Date();

  constructor(
    context: DaemonContext,
    listed: () => readonly Listed[],
    images: Images,
    volumes: Pick<Volumes, "usage">,
    builds: Pick<Builds, "usage">,
    containers: () => Promise<readonly JsonObject[]>,
  ) {
    this.builds = builds;
    this.containers = containers;
    this.context = context;
    this.volumes = volumes;
    this.listed = listed;
    this.images = images;
  }

  version(): JsonObject {
    const { version } = this.context;
    const build = {
      GitCommit: version,
      GoVersion: `node ${process.version}`,
      Os: "linux",
      Arch: GO_ARCH[arch()] ?? arch(),
      KernelVersion: release(),
      BuildTime: this.startedAt.toISOString(),
    };
    return {
      Platform: { Name: `dd ${version}` },
      Components: [
        {
          Name: "Engine",
          Version: ENGINE_VERSION,
          Details: {
            ...build,
            ApiVersion: API_VERSION,
            MinAPIVersion: MIN_API_VERSION,
            Experimental: "false",
          },
        },
        { Name: "dd", Version: version, Details: { GitCommit: version } },
      ],
      Version: ENGINE_VERSION,
      ApiVersion: API_VERSION,
      MinAPIVersion: MIN_API_VERSION,
      ...build,
    };
  }

  async info(): Promise<JsonObject> {
    const { context } = this;
    const containers = this.listed();
    const count = (...wanted: string[]) =>
      containers.filter(({ status }) => wanted.includes(status)).length;
    const images = await context.images.list();
    return {
      ID: "dd",
      Containers: containers.length,
      ContainersRunning: count("running", "restarting"),
      ContainersPaused: count("paused"),
      ContainersStopped: count("created", "exited", "dead"),
      Images: images.length,
      Driver: "dd",
      DriverStatus: [["Layers", "packed"]],
      Plugins: {
        Volume: ["local"],
        Network: ["bridge", "host", "null"],
        Authorization: null,
        Log: ["json-file", "local", "none"],
      },
      MemoryLimit: true,
      SwapLimit: false,
      CpuCfsPeriod: true,
      CpuCfsQuota: true,
      CPUShares: false,
      CPUSet: true,
      PidsLimit: true,
      IPv4Forwarding: true,
      Debug: false,
      NFd: 0,
      OomKillDisable: false,
      NGoroutines: 1,
      SystemTime: new Date().toISOString(),
      LoggingDriver: "json-file",
      CgroupDriver: "none",
      CgroupVersion: "2",
      NEventsListener: 0,
      KernelVersion: release(),
      OperatingSystem: operatingSystem(),
      OSVersion: "",
      OSType: "linux",
      Architecture: UNAME_ARCH[arch()] ?? arch(),
      IndexServerAddress: "https://index.docker.io/v1/",
      ...describeRegistries(context.registries()),
      NCPU: cpus().length,
      MemTotal: totalmem(),
      GenericResources: null,
      DockerRootDir: context.directories.root,
      Name: hostname(),
      Labels: [],
      ExperimentalBuild: false,
      ServerVersion: ENGINE_VERSION,
      Runtimes: { trusted: { path: "dd" }, untrusted: { path: "dd" } },
      DefaultRuntime: context.defaultMode,
      Swarm: {
        NodeID: "",
        NodeAddr: "",
        LocalNodeState: "inactive",
        ControlAvailable: false,
        Error: "",
        RemoteManagers: null,
      },
      LiveRestoreEnabled: true,
      Isolation: "",
      InitBinary: "docker-init",
      ContainerdCommit: { ID: "" },
      RuncCommit: { ID: "" },
      InitCommit: { ID: "" },
      SecurityOptions: ["name=seccomp,profile=builtin", "name=rootless"],
      CDISpecDirs: [],
      Warnings: limitWarnings(),
    };
  }

  events(choice: EventsChoice, gone: AbortSignal): AsyncIterable<JsonObject> {
    return this.context.events.listen(choice, gone);
  }

  async diskUsage(types: readonly string[]): Promise<JsonObject> {
    const wants = (type: string) => types.length === 0 || types.includes(type);
    return {
      ...(wants("image") ? await this.images.diskUsage() : { LayersSize: 0, Images: null }),
      Containers: wants("container") ? await this.containers() : null,
      Volumes: wants("volume") ? this.volumes.usage() : null,
      BuildCache: wants("build-cache") ? await this.builds.usage() : null,
    };
  }
}

/** How limits are held where the host lets us make no control group for them. */
function limitWarnings(): readonly string[] | null {
  const can = ControlGroup.probe();
  const warnings = [
    ...(can.memory
      ? []
      : ["WARNING: No control group for memory: each process is limited, their sum is checked"]),
    ...(can.cpu ? [] : ["WARNING: No control group for CPU time: processes are stopped instead"]),
  ];
  return warnings.length === 0 ? null : warnings;
}

function operatingSystem(): string {
  try {
    const release = readFileSync("/etc/os-release", "utf8");
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? "linux";
  } catch {
    return "linux";
  }
}

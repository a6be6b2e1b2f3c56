/** Bodies of the container routes; see the Engine API's reference for what each member means. */
import { Type } from "@sinclair/typebox";
import {
  anything,
  flag,
  integer,
  list,
  map,
  members,
  type Of,
  part,
  set,
  text,
  texts,
  words,
} from "../schema.ts";

const HEALTH_CONFIG = {
  Test: words(),
  Interval: integer(),
  Timeout: integer(),
  Retries: integer(),
  StartPeriod: integer(),
  StartInterval: integer(),
};

/** A container's command and surroundings: the body of create and commit, `Config` of images. */
export const CONFIG = {
  Hostname: text(),
  Domainname: text(),
  User: text(),
  AttachStdin: flag(),
  AttachStdout: flag(),
  AttachStderr: flag(),
  ExposedPorts: set(),
  Tty: flag(),
  OpenStdin: flag(),
  StdinOnce: flag(),
  Env: texts(),
  Cmd: words(),
  Healthcheck: part(HEALTH_CONFIG),
  ArgsEscaped: flag(),
  Image: text(),
  Volumes: set(),
  WorkingDir: text(),
  Entrypoint: words(),
  NetworkDisabled: flag(),
  MacAddress: text(),
  OnBuild: texts(),
  Labels: map(Type.String()),
  StopSignal: text(),
  StopTimeout: integer(),
  Shell: words(),
};

const RESTART_POLICY = part({ Name: text(), MaximumRetryCount: integer() });
const DEVICES = list(
  members({ PathOnHost: text(), PathInContainer: text(), CgroupPermissions: text() }),
);
const RATES = list(members({ Path: text(), Rate: integer() }));

/** What can also be changed later; see `POST /containers/{id}/update`. */
const RESOURCES = {
  CpuShares: integer(),
  Memory: integer(),
  NanoCpus: integer(),
  CgroupParent: text(),
  BlkioWeight: integer(),
  BlkioWeightDevice: list(members({ Path: text(), Weight: integer() })),
  BlkioDeviceReadBps: RATES,
  BlkioDeviceWriteBps: RATES,
  BlkioDeviceReadIOps: RATES,
  BlkioDeviceWriteIOps: RATES,
  CpuPeriod: integer(),
  CpuQuota: integer(),
  CpuRealtimePeriod: integer(),
  CpuRealtimeRuntime: integer(),
  CpusetCpus: text(),
  CpusetMems: text(),
  Devices: DEVICES,
  DeviceCgroupRules: texts(),
  DeviceRequests: anything(),
  KernelMemory: integer(),
  KernelMemoryTCP: integer(),
  MemoryReservation: integer(),
  MemorySwap: integer(),
  MemorySwappiness: integer(),
  OomKillDisable: flag(),
  PidsLimit: integer(),
  Ulimits: list(members({ Name: text(), Soft: integer(), Hard: integer() })),
};

export const MOUNT = members({
  Type: text(),
  Source: text(),
  Target: text(),
  ReadOnly: flag(),
  Consistency: text(),
  BindOptions: part({
    Propagation: text(),
    NonRecursive: flag(),
    CreateMountpoint: flag(),
    ReadOnlyNonRecursive: flag(),
    ReadOnlyForceRecursive: flag(),
  }),
  VolumeOptions: part({
    NoCopy: flag(),
    Labels: map(Type.String()),
    DriverConfig: part({ Name: text(), Options: map(Type.String()) }),
    Subpath: text(),
  }),
  TmpfsOptions: part({ SizeBytes: integer(), Mode: integer(), Options: anything() }),
  ImageOptions: part({ Subpath: text() }),
});

const PORT_BINDING = members({ HostIp: text(), HostPort: text() });
export const PORT_MAP = map(Type.Array(PORT_BINDING));

/** How a container is joined to the host. */
export const HOST_CONFIG = {
  ...RESOURCES,
  Binds: texts(),
  ContainerIDFile: text(),
  LogConfig: part({ Type: text(), Config: map(Type.String()) }),
  NetworkMode: text(),
  PortBindings: PORT_MAP,
  RestartPolicy: RESTART_POLICY,
  AutoRemove: flag(),
  VolumeDriver: text(),
  VolumesFrom: texts(),
  ConsoleSize: list(Type.Integer()),
  Annotations: map(Type.String()),
  CapAdd: words(),
  CapDrop: words(),
  CgroupnsMode: text(),
  Dns: texts(),
  DnsOptions: texts(),
  DnsSearch: texts(),
  ExtraHosts: texts(),
  GroupAdd: texts(),
  IpcMode: text(),
  Cgroup: text(),
  Links: texts(),
  OomScoreAdj: integer(),
  PidMode: text(),
  Privileged: flag(),
  PublishAllPorts: flag(),
  ReadonlyRootfs: flag(),
  SecurityOpt: texts(),
  StorageOpt: map(Type.String()),
  Tmpfs: map(Type.String()),
  UTSMode: text(),
  UsernsMode: text(),
  ShmSize: integer(),
  Sysctls: map(Type.String()),
  Runtime: text(),
  Isolation: text(),
  Mounts: list(MOUNT),
  MaskedPaths: texts(),
  ReadonlyPaths: texts(),
  Init: flag(),
};

/** A container's place in one network. */
export const ENDPOINT = members({
  IPAMConfig: part({ IPv4Address: text(), IPv6Address: text(), LinkLocalIPs: texts() }),
  Links: texts(),
  MacAddress: text(),
  Aliases: texts(),
  DriverOpts: map(Type.String()),
  GwPriority: integer(),
  NetworkID: text(),
  EndpointID: text(),
  Gateway: text(),
  IPAddress: text(),
  DNSNames: texts(),
});

export const CREATE_BODY = members({
  ...CONFIG,
  /** Where docker-py says it: outside of the host configuration. */
  Runtime: text(),
  HostConfig: part(HOST_CONFIG),
  NetworkingConfig: part({ EndpointsConfig: map(ENDPOINT) }),
});
export type CreateBody = Of<typeof CREATE_BODY>;
export type HostConfigBody = NonNullable<CreateBody["HostConfig"]>;
export type EndpointBody = Of<typeof ENDPOINT>;
export type MountBody = Of<typeof MOUNT>;
export type HealthBody = NonNullable<CreateBody["Healthcheck"]>;

export const UPDATE_BODY = members({ ...RESOURCES, RestartPolicy: RESTART_POLICY });
export type UpdateBody = Of<typeof UPDATE_BODY>;

/**
 * What the API needs from whoever runs containers: the interface this room owns, a part per resource. The
 * daemon implements it. Answers are docker's JSON objects; refusals are thrown as `ApiError`.
 */
import type { BuildEngine } from "./engine/build.ts";
import type { CommitEngine } from "./engine/commit.ts";
import type { ContainerFilesEngine } from "./engine/container-files.ts";
import type { ContainersEngine } from "./engine/containers.ts";
import type { DashboardEngine } from "./engine/dashboard.ts";
import type { ExecsEngine } from "./engine/execs.ts";
import type { ImagesEngine } from "./engine/images.ts";
import type { NetworksEngine } from "./engine/networks.ts";
import type { SystemEngine } from "./engine/system.ts";
import type { VolumesEngine } from "./engine/volumes.ts";

export interface Engine {
  readonly system: SystemEngine;
  readonly containers: ContainersEngine;
  readonly execs: ExecsEngine;
  readonly images: ImagesEngine;
  readonly dashboard: DashboardEngine;
  readonly files: ContainerFilesEngine;
  readonly networks: NetworksEngine;
  readonly volumes: VolumesEngine;
  readonly commit: CommitEngine;
  readonly builds: BuildEngine;
}

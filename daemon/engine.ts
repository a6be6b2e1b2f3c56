import type { Server } from "node:http";
import type { Engine } from "../api/engine.ts";
import { Builds } from "./build.ts";
import { Commit } from "./commit.ts";
import { Others } from "./container/others.ts";
import { Supervisor } from "./container/supervisor.ts";
import { ContainerFiles } from "./container-files.ts";
import { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { Dashboard } from "./dashboard.ts";
import { Execs } from "./execs.ts";
import { Images } from "./images.ts";
import { Networks } from "./networks.ts";
import { System } from "./system.ts";
import { Volumes } from "./volumes.ts";

export interface RunningEngine {
  readonly engine: Engine;
  /** Lets go of everything; containers go on. */
  close(): void;
}

/**
 * Puts the parts of the engine together. To add a resource, make its class here.
 * @param makeApi makes another server of the API over an engine, which does not listen.
 */
export function createEngine(
  context: DaemonContext,
  makeApi: (engine: Engine) => Promise<Server>,
): RunningEngine {
  const supervisor = new Supervisor(context);
  const containers = new Containers(context, supervisor, (id) => execs.idsOf(id));
  const execs: Execs = new Execs(context, containers);
  const files = new ContainerFiles(context, containers);
  const commit = new Commit(context, containers);
  const builds = new Builds(context);
  const images = new Images(context);
  const networks = new Networks(context, containers);
  const volumes = new Volumes(context);
  const system = new System(
    context,
    () => containers.listed(),
    images,
    volumes,
    builds,
    () => containers.withSizes(),
  );
  const dashboard = new Dashboard(context, () => makeApi(engine));
  const resources = { files, commit, builds, images, networks, volumes, dashboard };
  const engine: Engine = { system, containers, execs, ...resources };
  const others = new Others(context, supervisor);
  supervisor.resume();
  return {
    engine,
    close: () => {
      builds.close();
      dashboard.close();
      others.close();
      supervisor.close();
    },
  };
}

import type { Engine } from "../api/engine.ts";
import { Supervisor } from "./container/supervisor.ts";
import { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { Execs } from "./execs.ts";
import { Images } from "./images.ts";
import { System } from "./system.ts";

export interface RunningEngine {
  readonly engine: Engine;
  /** Lets go of everything; containers go on. */
  close(): void;
}

/** Puts the parts of the engine together. To add a resource, make its class here. */
export function createEngine(context: DaemonContext): RunningEngine {
  const supervisor = new Supervisor(context);
  const containers = new Containers(context, supervisor, (id) => execs.idsOf(id));
  const execs: Execs = new Execs(context, containers);
  const images = new Images(context);
  const system = new System(context, () => containers.listed(), images);
  supervisor.resume();
  return {
    engine: { system, containers, execs, images },
    close: () => supervisor.close(),
  };
}

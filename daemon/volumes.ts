import type { JsonObject } from "../api/engine/json.ts";
import type { VolumesEngine } from "../api/engine/volumes.ts";
import { ApiError } from "../api/errors.ts";
import type { Filters } from "../api/filters.ts";
import type { VolumeBody } from "../api/routes/volumes.ts";
import { ContainerError } from "../sentry/container/errors.ts";
import { randomId } from "../sentry/container/names.ts";
import { ANONYMOUS_LABEL, usersOf, type Volume, VolumeStore } from "../sentry/container/volumes.ts";
import { textsOf } from "./container/words.ts";
import type { DaemonContext } from "./context.ts";
import { refusing } from "./refusals.ts";

const DRIVER = "local";

/** The volumes of the store, for the API. */
export class Volumes implements VolumesEngine {
  private readonly context: DaemonContext;
  private readonly volumes: VolumeStore;

  constructor(context: DaemonContext) {
    this.context = context;
    this.volumes = new VolumeStore(context.directories.root);
  }

  async list(filters: Filters): Promise<readonly JsonObject[]> {
    const dangling = filters.flag("dangling");
    const containers = dangling === undefined ? [] : this.context.store.list();
    return this.volumes
      .list()
      .filter(
        (volume) =>
          filters.some("name", (name) => volume.name.includes(name)) &&
          filters.some("driver", (driver) => driver === DRIVER) &&
          filters.matchesLabels(volume.labels) &&
          (dangling === undefined || dangling === (usersOf(volume.name, containers).length === 0)),
      )
      .map(describe);
  }

  async inspect(name: string): Promise<JsonObject> {
    return describe(refusing(name, () => this.volumes.find(name)));
  }

  async create(body: VolumeBody): Promise<JsonObject> {
    const driver = body.Driver || DRIVER;
    if (driver !== DRIVER) {
      throw new ApiError(
        "NOT_FOUND",
        `error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    const name = body.Name || randomId();
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
      throw new ApiError(
        "INVALID",
        `create ${name}: "${name}" includes invalid characters for a local volume name, only ` +
          '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use ' +
          "absolute path",
      );
    }
    const isNew = !this.volumes.list().some((volume) => volume.name === name);
    const labels = { ...(body.Name ? {} : { [ANONYMOUS_LABEL]: "" }), ...textsOf(body.Labels) };
    const volume = refusing(name, () =>
      this.volumes.ensure(name, labels, textsOf(body.DriverOpts)),
    );
    if (isNew) this.context.events.emit("volume", "create", name, { driver: DRIVER });
    return describe(volume);
  }

  async remove(name: string, force: boolean): Promise<void> {
    const containers = this.context.store.list();
    try {
      this.volumes.remove(name, containers);
    } catch (error) {
      if (!(error instanceof ContainerError)) throw error;
      if (error.code === "NO_SUCH_VOLUME" && force) return;
      if (error.code === "NO_SUCH_VOLUME") throw new ApiError("NO_SUCH_VOLUME", name);
      if (error.code !== "VOLUME_IN_USE") throw new ApiError("INVALID", error.message);
      const users = usersOf(name, containers).map(({ record }) => record.spec.id);
      const why = `remove ${name}: volume is in use - [${users.join(", ")}]`;
      throw new ApiError("VOLUME_IN_USE", why);
    }
    this.context.events.emit("volume", "destroy", name, { driver: DRIVER });
  }

  async prune(filters: Filters, named: boolean): Promise<JsonObject> {
    const removed = this.volumes.prune(
      this.context.store.list(),
      ({ labels }) =>
        (named || Object.hasOwn(labels, ANONYMOUS_LABEL)) && filters.matchesLabels(labels),
    );
    const SpaceReclaimed = removed.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name } of removed) {
      this.context.events.emit("volume", "destroy", name, { driver: DRIVER });
    }
    this.context.events.emit("volume", "prune", "", { reclaimed: String(SpaceReclaimed) });
    return { VolumesDeleted: removed.map(({ name }) => name), SpaceReclaimed };
  }

  /** All of them with what they take, for `GET /system/df`. */
  usage(): readonly JsonObject[] {
    const containers = this.context.store.list();
    return this.volumes.list().map((volume) => ({
      ...describe(volume),
      UsageData: {
        Size: this.volumes.usage(volume),
        RefCount: usersOf(volume.name, containers).length,
      },
    }));
  }
}

function describe({ name, createdAt, labels, options, data }: Volume): JsonObject {
  return {
    CreatedAt: new Date(createdAt).toISOString().replace(/\.\d+Z$/, "Z"),
    Driver: DRIVER,
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: data,
    Name: name,
    Options: Object.keys(options).length === 0 ? null : options,
    Scope: "local",
  };
}

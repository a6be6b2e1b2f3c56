/** What can be changed of a container after it was made: its limits, its restart policy. */
import type { LimitsUpdate } from "../spec.ts";
import type { ContainerRecord, RestartPolicy } from "./record.ts";

/** Absent: as before. */
export interface RecordUpdate {
  readonly limits?: LimitsUpdate;
  /** null: it is never started again by itself. */
  readonly restart?: RestartPolicy | null;
  /** What the Engine API was asked for, in its own words. */
  readonly hostConfig?: Readonly<Record<string, unknown>>;
}

/** The record with the update in it. */
export function updatedRecord(record: ContainerRecord, update: RecordUpdate): ContainerRecord {
  const { limits = {}, restart = record.restart, hostConfig = {} } = update;
  const { restart: _, ...rest } = record;
  return {
    ...rest,
    spec: { ...record.spec, limits: { ...record.spec.limits, ...limits } },
    ...(restart === null || restart === undefined ? {} : { restart }),
    ...(record.engine === undefined
      ? {}
      : {
          engine: {
            ...record.engine,
            hostConfig: { ...record.engine.hostConfig, ...hostConfig },
          },
        }),
  };
}

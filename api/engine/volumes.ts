import type { Filters } from "../filters.ts";
import type { VolumeBody } from "../routes/volumes.ts";
import type { JsonObject } from "./json.ts";

export interface VolumesEngine {
  list(filters: Filters): Promise<readonly JsonObject[]>;
  inspect(name: string): Promise<JsonObject>;
  /** The volume of that name, made when there is none. */
  create(body: VolumeBody): Promise<JsonObject>;
  /** @param force no error when there is none. */
  remove(name: string, force: boolean): Promise<void>;
  /** @param named also those that have a name of their own. */
  prune(filters: Filters, named: boolean): Promise<JsonObject>;
}

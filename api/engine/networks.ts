import type { Filters } from "../filters.ts";
import type { EndpointBody } from "../routes/container-bodies.ts";
import type { NetworkBody } from "../routes/networks.ts";
import type { JsonObject } from "./json.ts";

export interface NetworksEngine {
  list(filters: Filters): Promise<readonly JsonObject[]>;
  /** With the containers in it. */
  inspect(reference: string): Promise<JsonObject>;
  /** @returns its id, and what the client should be warned of. */
  create(body: NetworkBody): Promise<{ readonly Id: string; readonly Warning: string }>;
  remove(reference: string): Promise<void>;
  connect(reference: string, container: string, endpoint: EndpointBody | undefined): Promise<void>;
  /** @param force no error when the container is gone. */
  disconnect(reference: string, container: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<JsonObject>;
}

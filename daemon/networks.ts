import type { JsonObject } from "../api/engine/json.ts";
import type { NetworksEngine } from "../api/engine/networks.ts";
import { ApiError } from "../api/errors.ts";
import type { Filters } from "../api/filters.ts";
import type { EndpointBody } from "../api/routes/container-bodies.ts";
import type { NetworkBody } from "../api/routes/networks.ts";
import { parseMoment } from "../api/time.ts";
import {
  connectContainer,
  disconnectContainer,
} from "../sentry/container/network/change-networks.ts";
import { isMeant, wantedNetworks } from "../sentry/container/network/container-networks.ts";
import { describeNetwork } from "../sentry/container/network/describe-network.ts";
import { type NetworkRecord, PREDEFINED } from "../sentry/container/network/network-record.ts";
import { pruneNetworks } from "../sentry/container/network/prune-networks.ts";
import { textsOf } from "./container/words.ts";
import type { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { endpointSettings } from "./networks/endpoint.ts";
import { networkEvent } from "./networks/event.ts";
import { refusing } from "./refusals.ts";

/** The networks of the store, for the API. */
export class Networks implements NetworksEngine {
  private readonly context: DaemonContext;
  private readonly containers: Pick<Containers, "find">;

  constructor(context: DaemonContext, containers: Pick<Containers, "find">) {
    this.context = context;
    this.containers = containers;
  }

  async list(filters: Filters): Promise<readonly JsonObject[]> {
    const dangling = filters.flag("dangling");
    for (const type of filters.get("type")) {
      if (type !== "builtin" && type !== "custom") {
        throw new ApiError("INVALID_FILTER_VALUE", "type", type);
      }
    }
    return this.context.networks
      .list()
      .filter(
        (network) =>
          filters.some("id", (id) => network.id.includes(id)) &&
          filters.some("name", (name) => network.name.includes(name)) &&
          filters.some("driver", (driver) => network.driver === driver) &&
          filters.some("scope", (scope) => scope === "local") &&
          filters.some("type", (type) => type === typeOf(network)) &&
          filters.matchesLabels(network.labels) &&
          (dangling === undefined || dangling === this.isUnused(network)),
      )
      .map((network) => describeNetwork(network, []));
  }

  async inspect(reference: string): Promise<JsonObject> {
    const network = this.find(reference);
    return describeNetwork(network, this.context.networks.rendezvous(network).members());
  }

  async create(body: NetworkBody): Promise<{ Id: string; Warning: string }> {
    const name = body.Name ?? "";
    if (name.trim() === "") throw new ApiError("INVALID", "network name cannot be empty");
    if (body.IPAM?.Driver && body.IPAM.Driver !== "default") {
      throw new ApiError("INVALID", `could not find ipam driver ${body.IPAM.Driver}`);
    }
    if (body.Ingress === true) {
      throw new ApiError("FORBIDDEN", "the ingress network is only available in a swarm");
    }
    if (body.Scope === "swarm") throw new ApiError("NOT_A_SWARM");
    if (body.EnableIPv4 === false) {
      throw new ApiError("NOT_IMPLEMENTED", "a network without IPv4");
    }
    const network = refusing(name, () =>
      this.context.networks.create(name, {
        driver: body.Driver ?? undefined,
        internal: body.Internal ?? false,
        attachable: body.Attachable ?? false,
        enableIPv6: body.EnableIPv6 ?? false,
        ipamOptions: textsOf(body.IPAM?.Options),
        pools: (body.IPAM?.Config ?? []).map((pool) => ({
          subnet: pool.Subnet ?? undefined,
          gateway: pool.Gateway ?? undefined,
          range: pool.IPRange ?? undefined,
          reserved: textsOf(pool.AuxiliaryAddresses ?? pool.AuxAddress),
        })),
        options: textsOf(body.Options),
        labels: textsOf(body.Labels),
      }),
    );
    networkEvent(this.context, "create", network);
    return { Id: network.id, Warning: "" };
  }

  async remove(reference: string): Promise<void> {
    const network = this.find(reference);
    refusing(reference, () => this.context.networks.remove(network));
    networkEvent(this.context, "destroy", network);
  }

  async connect(
    reference: string,
    name: string,
    endpoint: EndpointBody | undefined,
  ): Promise<void> {
    const network = this.find(reference);
    const container = this.containers.find(name);
    const settings = endpointSettings(endpoint);
    await refusing(name, () => connectContainer(this.context.store, container, network, settings));
    if (container.state.status !== "running") return;
    networkEvent(this.context, "connect", network, container.record.spec.id);
  }

  async disconnect(reference: string, name: string, force: boolean): Promise<void> {
    const network = this.find(reference);
    let container: ReturnType<Containers["find"]>;
    try {
      container = this.containers.find(name);
    } catch (error) {
      if (force && error instanceof ApiError && error.code === "NO_SUCH_CONTAINER") return;
      throw error;
    }
    await refusing(name, () => disconnectContainer(this.context.store, container, network));
    if (container.state.status !== "running") return;
    networkEvent(this.context, "disconnect", network, container.record.spec.id);
  }

  async prune(filters: Filters): Promise<JsonObject> {
    const until = filters.get("until").map((text) => parseMoment("until", text));
    const removed = pruneNetworks(
      this.context.store,
      this.context.networks,
      ({ labels, createdAt }) =>
        filters.matchesLabels(labels) && until.every((time) => createdAt < time),
    );
    for (const network of removed) networkEvent(this.context, "destroy", network);
    const names = removed.map(({ name }) => name);
    return { NetworksDeleted: names.length === 0 ? null : names };
  }

  private find(reference: string): NetworkRecord {
    return refusing(reference, () => this.context.networks.find(reference));
  }

  /** Whether no container is to be in it. */
  private isUnused(network: NetworkRecord): boolean {
    const { store } = this.context;
    const used = store.list().some(({ record }) => {
      const directory = store.directoryOf(record.spec.id);
      return wantedNetworks({ record, directory }).some((each) => isMeant(each, network));
    });
    return !used && !PREDEFINED.has(network.name);
  }
}

function typeOf({ name }: NetworkRecord): "builtin" | "custom" {
  return PREDEFINED.has(name) ? "builtin" : "custom";
}

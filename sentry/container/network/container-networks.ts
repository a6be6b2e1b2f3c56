/** Which networks a container is to be in, and where it is now: two files beside its record. */
import { join } from "node:path";
import type { NetworkMember, PublishedPort } from "../../spec.ts";
import { ContainerError } from "../errors.ts";
import { readJson, writeJson } from "../json-file.ts";
import type { ContainerRecord } from "../record.ts";
import { checkChoice } from "./address-pools.ts";
import { parseLink } from "./links.ts";
import {
  DEFAULT_NETWORK,
  type EndpointSettings,
  type NetworkRecord,
  PLAIN_ENDPOINT,
} from "./network-record.ts";

const SETTINGS_FILE = "networks.json";
const LIVE_FILE = "network.json";

/** A network a container is to be in. */
export interface WantedNetwork {
  /** The network's id, or what the user called it when it may not have existed yet. */
  readonly network: string;
  readonly settings: EndpointSettings;
}

/** Where a running container is. */
export interface LiveNetwork {
  readonly networkId: string;
  readonly networkName: string;
  readonly member: NetworkMember;
  readonly gateways: readonly string[];
}

/** A running container's network, as its sentry has written it down. */
export interface LiveNetworking {
  readonly networks: readonly LiveNetwork[];
  readonly ports: readonly PublishedPort[];
}

/**
 * The networks a container is to be in, in their order.
 * @param container with its own directory.
 */
export function wantedNetworks({
  record,
  directory,
}: {
  readonly record: Pick<ContainerRecord, "spec">;
  readonly directory: string;
}): readonly WantedNetwork[] {
  const written = readJson<readonly WantedNetwork[]>(join(directory, SETTINGS_FILE));
  if (written !== undefined) return written;
  const { mode } = record.spec.network;
  if (mode === "container") return [];
  return [{ network: mode === "bridge" ? DEFAULT_NETWORK : mode, settings: PLAIN_ENDPOINT }];
}

/** For who holds the container. */
export function writeWanted(directory: string, wanted: readonly WantedNetwork[]): void {
  writeJson(join(directory, SETTINGS_FILE), wanted);
}

/** @param runDirectory the container's; nothing is there unless it runs. */
export function readLive(runDirectory: string): LiveNetworking | undefined {
  return readJson<LiveNetworking>(join(runDirectory, LIVE_FILE));
}

export function writeLive(runDirectory: string, live: LiveNetworking): void {
  writeJson(join(runDirectory, LIVE_FILE), live);
}

const ALIAS = /^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,253}[a-zA-Z0-9_])?$/;
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;

/**
 * Checks what a container asks for in a network.
 * @throws {ContainerError} `INVALID_ENDPOINT` in docker's words.
 */
export function checkSettings(network: NetworkRecord, settings: EndpointSettings): void {
  const refuse = (why: string): never => {
    throw new ContainerError(
      "INVALID_ENDPOINT",
      `invalid config for network ${network.name}: invalid endpoint settings:\n${why}`,
    );
  };
  checkChoice(network, settings);
  const { aliases, mac } = settings;
  const hasNames = network.driver === "bridge" && network.name !== "bridge";
  if (aliases.length > 0 && !hasNames) {
    refuse("network-scoped alias is supported only for containers in user defined networks");
  }
  const bad = aliases.find((alias) => !ALIAS.test(alias));
  if (bad !== undefined) refuse(`invalid alias: ${bad}`);
  if (mac !== undefined && !MAC.test(mac)) refuse(`invalid MAC address: ${mac}`);
}

/** With a network more. @throws {ContainerError} `ALREADY_CONNECTED`. */
export function withNetwork(
  wanted: readonly WantedNetwork[],
  network: NetworkRecord,
  settings: EndpointSettings = PLAIN_ENDPOINT,
  containerName = "",
): readonly WantedNetwork[] {
  if (wanted.some((each) => isMeant(each, network))) {
    throw new ContainerError(
      "ALREADY_CONNECTED",
      `endpoint with name ${containerName} already exists in network ${network.name}`,
    );
  }
  return [...wanted, { network: network.id, settings }];
}

/**
 * Without the link of that alias in the default network.
 * @returns undefined when there is none.
 */
export function withoutLink(
  wanted: readonly WantedNetwork[],
  bridge: NetworkRecord,
  alias: string,
): readonly WantedNetwork[] | undefined {
  let found = false;
  const rest = wanted.map((each) => {
    if (!isMeant(each, bridge)) return each;
    const links = each.settings.links.filter((link) => parseLink(link).alias !== alias);
    found = links.length < each.settings.links.length;
    return { ...each, settings: { ...each.settings, links } };
  });
  return found ? rest : undefined;
}

/** With a network less. @throws {ContainerError} `NOT_CONNECTED`. */
export function withoutNetwork(
  wanted: readonly WantedNetwork[],
  network: NetworkRecord,
  containerId: string,
): readonly WantedNetwork[] {
  const rest = wanted.filter((each) => !isMeant(each, network));
  if (rest.length === wanted.length) {
    throw new ContainerError(
      "NOT_CONNECTED",
      `container ${containerId} is not connected to the network ${network.name}`,
    );
  }
  return rest;
}

/** Whether an entry is about `network`: it may say its id, its name, or the beginning of the id. */
export function isMeant(wanted: WantedNetwork, { id, name }: NetworkRecord): boolean {
  const { network } = wanted;
  return network === id || network === name || (network.length >= 12 && id.startsWith(network));
}

/** Links between containers of the default network: docker's way before networks had names. */
import { toText } from "../../abi/bytes.ts";
import type { NetworkMember } from "../../spec.ts";
import { ContainerError } from "../errors.ts";
import type { Container, ContainerRecord } from "../record.ts";
import type { ContainerStore } from "../store.ts";

/** What a link says, `NAME`, `NAME:ALIAS` or as inspect shows it, `/NAME:/OWNER/ALIAS`. */
export interface Link {
  /** A container's name or id. */
  readonly name: string;
  readonly alias: string;
}

export function parseLink(text: string): Link {
  const [target = "", alias = target] = text.split(":");
  return { name: target.replace(/^\//, ""), alias: alias.split("/").at(-1) ?? alias };
}

/** As docker shows it in HostConfig.Links. */
export function linkText(owner: string, { name, alias }: Link): string {
  return `/${name}:/${owner}/${alias}`;
}

/**
 * The variables that tell a container of those it is linked to: `ALIAS_PORT...`, `ALIAS_NAME`, `ALIAS_ENV_...`.
 * @param members of the default network.
 * @throws {ContainerError} when one of them does not run.
 */
export function linkEnvironment(
  store: ContainerStore,
  owner: Pick<ContainerRecord, "name">,
  links: readonly string[],
  members: readonly NetworkMember[],
): readonly string[] {
  return links.map(parseLink).flatMap((link) => {
    const { record, state }: Container = store.find(link.name);
    if (state.status !== "running") {
      throw new ContainerError(
        "CONTAINER_NOT_RUNNING",
        `Cannot link to a non running container: /${record.name} AS /${owner.name}/${link.alias}`,
      );
    }
    const { id } = record.spec;
    const member = members.find(({ containerId }) => containerId === id);
    const address = member?.ipv4.split("/")[0] ?? "";
    return variablesOf(link.alias, `/${owner.name}/${link.alias}`, record, address);
  });
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

function variablesOf(
  alias: string,
  name: string,
  record: ContainerRecord,
  address: string,
): readonly string[] {
  const prefix = alias.toUpperCase().replaceAll("-", "_");
  const ports = portsOf(record);
  const url = ({ number, protocol }: Port) => `${protocol}://${address}:${number}`;
  const [first] = ports;
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ports.flatMap((port) => {
      const of = `${prefix}_PORT_${port.number}_${port.protocol.toUpperCase()}`;
      return [
        `${of}=${url(port)}`,
        `${of}_ADDR=${address}`,
        `${of}_PORT=${port.number}`,
        `${of}_PROTO=${port.protocol}`,
      ];
    }),
    `${prefix}_NAME=${name}`,
    ...environmentOf(record)
      .filter((each) => !/^(HOME|PATH)=/.test(each))
      .map((each) => `${prefix}_ENV_${each}`),
  ];
}

/** What it exposes: tcp first, then by number. */
function portsOf({ engine, spec }: ContainerRecord): readonly Port[] {
  const exposed = Object.keys((engine?.config["ExposedPorts"] as object | null | undefined) ?? {});
  const published = (spec.network.publish ?? []).map(
    ({ containerPort, protocol }) => `${containerPort}/${protocol}`,
  );
  return [...new Set([...exposed, ...published])]
    .map((text) => {
      const [number = "", protocol = "tcp"] = text.split("/");
      return { number: Number(number), protocol };
    })
    .sort((a, b) => {
      const byProtocol = Number(a.protocol !== "tcp") - Number(b.protocol !== "tcp");
      return byProtocol !== 0 ? byProtocol : a.number - b.number;
    });
}

function environmentOf({ engine, process }: ContainerRecord): readonly string[] {
  const asked = engine?.config["Env"];
  const words = Array.isArray(asked) ? asked : process.env.map(toText);
  return words.filter((each): each is string => typeof each === "string" && each.includes("="));
}

/** Networks in docker's words; see the Engine API's `Network`. */
import type { NetworkMember } from "../../spec.ts";
import type { NetworkRecord } from "./network-record.ts";

/** What `network inspect` shows. @param members its running containers. */
export function describeNetwork(
  network: NetworkRecord,
  members: readonly NetworkMember[],
): Record<string, unknown> {
  const { ipam } = network;
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.createdAt).toISOString(),
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: network.enableIPv6,
    IPAM: {
      Driver: "default",
      Options: Object.keys(ipam.options).length === 0 ? null : ipam.options,
      Config: ipam.pools.map(({ subnet, gateway, range, reserved }) => ({
        Subnet: subnet,
        ...(range === undefined ? {} : { IPRange: range }),
        Gateway: gateway,
        ...(Object.keys(reserved).length === 0 ? {} : { AuxiliaryAddresses: reserved }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      members.map((member) => [
        member.containerId,
        {
          Name: member.containerName,
          EndpointID: member.endpointId,
          MacAddress: member.mac,
          IPv4Address: member.ipv4,
          IPv6Address: member.ipv6,
        },
      ]),
    ),
    Options: network.options,
    Labels: network.labels,
  };
}

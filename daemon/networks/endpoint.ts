import type { EndpointBody } from "../../api/routes/container-bodies.ts";
import {
  type EndpointSettings,
  PLAIN_ENDPOINT,
} from "../../sentry/container/network/network-record.ts";
import { textsOf } from "../container/words.ts";

/** What a client asks for in one network. */
export function endpointSettings(body: EndpointBody | null | undefined): EndpointSettings {
  if (body == null) return PLAIN_ENDPOINT;
  const { IPAMConfig, MacAddress } = body;
  return {
    aliases: body.Aliases ?? [],
    links: body.Links ?? [],
    ...(IPAMConfig?.IPv4Address ? { ipv4: IPAMConfig.IPv4Address } : {}),
    ...(IPAMConfig?.IPv6Address ? { ipv6: IPAMConfig.IPv6Address } : {}),
    ...(IPAMConfig?.LinkLocalIPs ? { linkLocal: IPAMConfig.LinkLocalIPs } : {}),
    ...(MacAddress ? { mac: MacAddress } : {}),
    driverOptions: textsOf(body.DriverOpts),
    priority: body.GwPriority ?? 0,
  };
}

import type { JsonObject } from "../../api/engine/json.ts";
import type { RegistrySettings } from "../../sentry/image/registry-settings.ts";

/** How registries are reached, for `GET /info`. */
export function describeRegistries(settings: RegistrySettings): JsonObject {
  const { insecure, mirrors, proxies } = settings;
  const networks = insecure.filter((each) => each.includes("/"));
  const hosts = insecure.filter((each) => !each.includes("/"));
  const index = (name: string, secure: boolean): object => ({
    Name: name,
    Mirrors: name === HUB ? mirrors : [],
    Secure: secure,
    Official: name === HUB,
  });
  return {
    RegistryConfig: {
      InsecureRegistryCIDRs: ["::1/128", "127.0.0.0/8", ...networks],
      IndexConfigs: Object.fromEntries([
        [HUB, index(HUB, true)],
        ...hosts.map((host) => [host, index(host, false)]),
      ]),
      Mirrors: mirrors.length === 0 ? null : mirrors,
    },
    HttpProxy: withoutPassword(proxies.http),
    HttpsProxy: withoutPassword(proxies.https),
    NoProxy: proxies.none.join(","),
  };
}

const HUB = "docker.io";

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, "//xxxxx:xxxxx@");
}

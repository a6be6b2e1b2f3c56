import { ImageError } from "./errors.ts";
import { HttpClient, STALL_MS } from "./http.ts";
import { parseUrl } from "./http-address.ts";
import { readRegistrySettings } from "./registry-settings.ts";

/**
 * The bytes of an archive at an address that somebody wants imported.
 * @throws {ImageError} SOURCE_INVALID, REGISTRY_*
 */
export async function fetchArchive(
  address: string,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const url = parseUrl(address.includes("://") ? address : `http://${address}`);
  if (!/^https?:$/.test(url.protocol)) throw new ImageError("SOURCE_INVALID", url.protocol);
  const settings = readRegistrySettings();
  // To be asked for plain http is leave to use it.
  const insecure = url.protocol === "http:" ? [...settings.insecure, url.host] : settings.insecure;
  const client = new HttpClient(STALL_MS, { ...settings, insecure });
  const response = await client.send(url, { headers: {}, signal });
  if (response.status !== 200) {
    response.discard();
    client.close();
    throw new ImageError("SOURCE_INVALID", `${url.host} answered ${response.status}`);
  }
  return closing(response.body, client);
}

async function* closing(
  body: AsyncIterable<Uint8Array>,
  client: HttpClient,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } finally {
    client.close();
  }
}

import type { Credentials } from "./credentials.ts";
import { ImageError } from "./errors.ts";
import { RegistryClient, type RegistryOptions } from "./registry-client.ts";

/**
 * Shows a registry some credentials.
 * @returns the identity token to keep instead of a password, where the registry's token server gives one
 * @throws {ImageError} REGISTRY_UNAUTHORIZED when it does not take them, and REGISTRY_*
 */
export async function login(
  domain: string,
  credentials: Credentials,
  options: RegistryOptions = {},
): Promise<string | undefined> {
  const client = new RegistryClient(domain, { ...options, credentials });
  try {
    const root = await client.root();
    const path = new URL("v2/", root);
    const challenge = await client.sendBare(path);
    challenge.discard();
    if (challenge.status === 200) return undefined; // it lets everybody in
    if (challenge.status !== 401) {
      throw new ImageError("REGISTRY_PROTOCOL", `${path} answered ${challenge.status}`);
    }
    const { authorization, identityToken } = await client.authorize(challenge, [], true);
    const answer = await client.sendBare(path, { authorization });
    answer.discard();
    if (answer.status === 200) return identityToken;
    if (answer.status !== 401 && answer.status !== 403) {
      throw new ImageError("REGISTRY_PROTOCOL", `${path} answered ${answer.status}`);
    }
    throw new ImageError("REGISTRY_UNAUTHORIZED", "incorrect username or password");
  } finally {
    client.close();
  }
}

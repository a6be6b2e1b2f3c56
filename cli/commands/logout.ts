import { eraseCredentials, registryOf } from "../../sentry/image/credentials.ts";
import { EXIT } from "../errors.ts";
import type { LOGOUT_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

export async function main(
  _values: Values<typeof LOGOUT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const registry = registryOf(operands[0] ?? "");
  const known = await eraseCredentials(registry);
  const line = known ? `Removed the login for ${registry}` : `There was no login for ${registry}`;
  process.stdout.write(`${line}\n`);
  return EXIT.ok;
}

import { randomId } from "../../sentry/container/names.ts";
import { VolumeStore } from "../../sentry/container/volumes.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import { parseLabels } from "../labels.ts";
import type { Values } from "../option.ts";
import type { VOLUME_CREATE_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof VOLUME_CREATE_OPTIONS>,
  operands: readonly string[],
): number {
  const volumes = new VolumeStore(openDirectories().root);
  const { name } = volumes.ensure(operands[0] ?? randomId(), parseLabels(values.label));
  process.stdout.write(`${name}\n`);
  return EXIT.ok;
}

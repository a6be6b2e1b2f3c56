import { randomId } from "../../sentry/container/names.ts";
import { ANONYMOUS_LABEL, VolumeStore } from "../../sentry/container/volumes.ts";
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
  const given = operands[0];
  const own = given === undefined ? { [ANONYMOUS_LABEL]: "" } : {};
  const labels = { ...own, ...parseLabels(values.label) };
  const { name } = volumes.ensure(given ?? randomId(), labels, parseLabels(values.opt));
  process.stdout.write(`${name}\n`);
  return EXIT.ok;
}

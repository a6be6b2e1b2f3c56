import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import { newContainer } from "../new-container.ts";
import type { Values } from "../option.ts";
import type { CREATE_OPTIONS } from "../options.ts";

export async function main(
  values: Values<typeof CREATE_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const held = await newContainer(openContainers(), values, operands);
  held.release();
  process.stdout.write(`${held.id}\n`);
  return EXIT.ok;
}

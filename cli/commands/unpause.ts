import { setPaused } from "../set-paused.ts";

export function main(_values: object, operands: readonly string[]): Promise<number> {
  return setPaused(operands, false);
}

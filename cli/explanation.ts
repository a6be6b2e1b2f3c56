import { toText } from "../sentry/abi/bytes.ts";
import type { ContainerRecord } from "../sentry/container/record.ts";
import type { ConfinementLayer, ExitStatus } from "../sentry/spec.ts";
import { coloured, paint } from "./style.ts";

/**
 * What `run --explain` prints at the end.
 * @param startedMs when the container's first process had been started, on the clock of `performance.now()`,
 *   which begins with this process.
 */
export function explanation(
  record: ContainerRecord,
  status: ExitStatus,
  layers: readonly ConfinementLayer[],
  startedMs: number,
): string {
  const colour = coloured(process.stderr);
  const { mode } = record.spec;
  const total = Math.round(performance.now());
  const rows: (readonly [string, string])[] = [
    ["ran", `${record.process.argv.map(toText).join(" ")} (image ${record.imageName})`],
    ["exit code", String(status.code)],
    ["took", `${total} ms, ${Math.round(startedMs)} ms of them until it was started`],
    ["mode", mode === "trusted" ? "trusted: its code ran in this very process, as you" : mode],
  ];
  if (layers.length === 0) rows.push(["confined by", "nothing"]);
  layers.forEach(({ name, active, detail }, i) => {
    const text = `${name}${active ? "" : " (not active)"}: ${detail}`;
    rows.push([i === 0 ? "confined by" : "", text]);
  });
  return rows.map(([key, text]) => `${paint("dim", key.padEnd(12), colour)}${text}\n`).join("");
}

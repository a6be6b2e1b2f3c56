import { VolumeStore } from "../../sentry/container/volumes.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { VOLUME_LS_OPTIONS } from "../options.ts";
import { printRows } from "../output.ts";

const COLUMNS = [
  ["VOLUME NAME", "Name"],
  ["MOUNTPOINT", "Mountpoint"],
] as const;

export function main(values: Values<typeof VOLUME_LS_OPTIONS>): number {
  const volumes = new VolumeStore(openDirectories().root).list();
  if (values.quiet) {
    for (const { name } of volumes) process.stdout.write(`${name}\n`);
    return EXIT.ok;
  }
  const rows = volumes.map((volume) => ({
    Name: volume.name,
    Mountpoint: volume.data,
    CreatedAt: new Date(volume.createdAt).toISOString(),
    Labels: Object.entries(volume.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
  }));
  printRows(rows, COLUMNS, values);
  return EXIT.ok;
}

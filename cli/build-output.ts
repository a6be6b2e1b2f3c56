import { createWriteStream } from "node:fs";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { builtArchive, writeBuiltFiles } from "../builder/export/files.ts";
import type { Solved } from "../builder/solve/solver.ts";
import { usageError } from "./errors.ts";

/** Where files go instead of an image. */
export interface BuildOutput {
  readonly type: "local" | "tar";
  /** A path; `-`: standard output. */
  readonly destination: string;
}

/** Reads `--output`: `DIR`, `-`, or `type=local|tar,dest=PATH`. @throws {CliError} */
export function parseBuildOutput(text: string): BuildOutput {
  if (text === "-") return { type: "tar", destination: "-" };
  if (!text.includes("=")) return { type: "local", destination: text };
  const fields = new Map(
    text.split(",").map((field) => {
      const equals = field.indexOf("=");
      return [field.slice(0, equals), field.slice(equals + 1)] as const;
    }),
  );
  const type = fields.get("type");
  const destination = fields.get("dest");
  if (type !== "local" && type !== "tar") {
    throw usageError(`output type "${type ?? ""}" is not supported`, "Use type=local or type=tar");
  }
  if (destination === undefined || (type === "local" && destination === "-")) {
    throw usageError(`dest is required for ${type} output`);
  }
  return { type, destination };
}

export async function writeBuildOutput(solved: Solved, output: BuildOutput): Promise<void> {
  const { type, destination } = output;
  if (type === "local") await writeBuiltFiles(solved, resolve(destination));
  else {
    const archive = Readable.from(builtArchive(solved));
    if (destination === "-") await pipeline(archive, process.stdout, { end: false });
    else await pipeline(archive, createWriteStream(destination));
  }
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fromText, toText } from "../../sentry/abi/bytes.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import { openImage } from "../../sentry/image/merged-tree.ts";
import { writeTar } from "../../sentry/image/tar-writer.ts";
import { PathMatcher } from "../dockerfile/ignore.ts";
import { BuildError } from "../errors.ts";
import { planCopy } from "../solve/copy.ts";
import type { FileSource } from "../solve/request.ts";

/**
 * A context without some of its files.
 * @param directory host directory to put things in; it must outlive the build
 */
export function withoutFiles(
  source: FileSource,
  names: readonly string[],
  directory: string,
): FileSource {
  return {
    async load(to, needed, report, signal) {
      const whole = join(directory, "whole");
      await source.load(whole, needed, report, signal);
      const tree = openImage([whole]);
      try {
        const plan = planCopy({
          sources: [{ kind: "path", root: tree.root, pattern: fromText("."), asRoot: true }],
          destination: fromText("/"),
          isDirectory: true,
          below: undefined,
          owner: undefined,
          mode: undefined,
          exclude: new PathMatcher(names),
          parents: false,
          now: 0n,
          missing: (pattern) => new BuildError("BUILD_NOT_FOUND", toText(pattern)),
        });
        await writeLayer(writeTar(plan.members()), to);
      } finally {
        tree.close();
        await rm(whole, { recursive: true, force: true });
      }
    },
  };
}

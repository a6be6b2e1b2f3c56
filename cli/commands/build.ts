import { writeFileSync } from "node:fs";
import { exportImage } from "../../builder/export/image.ts";
import { Progress } from "../../builder/solve/progress.ts";
import type { BuildRequest } from "../../builder/solve/request.ts";
import { solve } from "../../builder/solve/solver.ts";
import { StepProcesses } from "../../builder/step/step-processes.ts";
import { StoreImages } from "../../builder/store-images.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { parsePlatform } from "../../sentry/image/platform.ts";
import { parseReference } from "../../sentry/image/reference.ts";
import { readRegistrySettings } from "../../sentry/image/registry-settings.ts";
import { describeBuildError } from "../build-error.ts";
import { buildInput } from "../build-input.ts";
import { buildSecrets, namedContexts } from "../build-options.ts";
import { parseBuildOutput, writeBuildOutput } from "../build-output.ts";
import { progressPrinter } from "../build-progress.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { BUILD_OPTIONS } from "../image-options.ts";
import { parseLabels } from "../labels.ts";
import type { Values } from "../option.ts";
import type { Services } from "../services.ts";

export async function main(
  values: Values<typeof BUILD_OPTIONS>,
  operands: readonly string[],
  { buildStepProgram }: Services,
): Promise<number> {
  const mode = values.untrusted || process.env["DDJIT_UNTRUSTED"] === "1" ? "untrusted" : "trusted";
  for (const name of values.tag) parseReference(name);
  const output = values.output === undefined ? undefined : parseBuildOutput(values.output);
  const secrets = buildSecrets(values.secret, values.ssh);
  const contexts = namedContexts(values["build-context"]);
  const labels = new Map(Object.entries(parseLabels(values.label)));
  const buildArgs = variables(values["build-arg"]);
  const platform = values.platform === undefined ? undefined : parsePlatform(values.platform);
  const directories = openDirectories();
  const store = new ImageStore(directories.root);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const printer = progressPrinter(values.quiet ? "quiet" : (values.progress ?? "auto"));
  const input = await buildInput(operands[0] ?? ".", values.file, stop.signal);
  try {
    const progress = new Progress(printer.take);
    const { network } = values;
    const request: BuildRequest = {
      ...input,
      contexts,
      target: values.target,
      buildArgs,
      labels,
      platform,
      network: network ?? "default",
      noCache: values["no-cache"] || values["no-cache-filter"],
      extraHosts: values["add-host"],
      shmBytes: undefined,
      limits: { ulimits: [] },
      hostname: undefined,
      entitlements: new Set(["network.host"]),
      secrets,
      images: new StoreImages(store, {
        pull: values.pull,
        registries: readRegistrySettings,
        plainErrors: false,
      }),
      steps: new StepProcesses(buildStepProgram, directories, mode),
      signal: stop.signal,
    };
    const id = await solve<string | undefined>(
      store,
      directories.root,
      request,
      progress,
      async (solved) => {
        if (output !== undefined) {
          await progress.run("exporting to client", [], () => writeBuildOutput(solved, output));
          return undefined;
        }
        return progress.run("exporting to image", [], async (report) => {
          const image = await report.part("exporting layers", () =>
            exportImage(solved, values.tag),
          );
          for (const name of values.tag) report.advance(`naming to ${name}`, 0, 0);
          return image.id;
        });
      },
    );
    printer.finish();
    if (id === undefined) return EXIT.ok;
    if (values.iidfile !== undefined) writeFileSync(values.iidfile, id);
    if (values.quiet) process.stdout.write(`${id}\n`);
    else process.stderr.write(`${id}\n`);
    return EXIT.ok;
  } catch (error) {
    printer.finish();
    throw describeBuildError(error, input.dockerfile, input.dockerfileName);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await input.close();
  }
}

/** `NAME=value`, or `NAME` for the value it has here. */
function variables(words: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const value = equals < 0 ? process.env[word] : word.slice(equals + 1);
    if (value !== undefined) found.set(equals < 0 ? word : word.slice(0, equals), value);
  }
  return found;
}

import { existsSync } from "node:fs";
import type { Isa } from "../sentry/abi/numbers.ts";
import { DEFAULT_PATH, type ImageDefaults } from "../sentry/container/process-config.ts";
import { HOST_ISA } from "../sentry/host/isa.ts";
import { CliError } from "./errors.ts";

/** Name of the image that is this machine's own system directories. */
export const HOST_IMAGE = "host";

/** An image as a new container needs it. */
export interface RunImage {
  readonly id: string;
  readonly isa: Isa;
  /** Host directories of its layers, bottom to top. */
  readonly layers: readonly string[];
  readonly config: ImageDefaults & {
    readonly Volumes: readonly string[];
    readonly ExposedPorts: readonly string[];
    readonly StopSignal?: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

export interface FindImageOptions {
  /** `always`, `never` or `missing`. */
  readonly pull: string | undefined;
  readonly platform: string | undefined;
  readonly quiet: boolean;
}

const ISAS: Readonly<Record<string, Isa>> = { amd64: "x86_64", arm64: "arm64" };

/**
 * The image called `name`, pulled when that is wished or needed.
 * @throws {CliError} `NO_SUCH_IMAGE`, `BAD_PLATFORM`; {@link import("../sentry/image/errors.ts").ImageError}.
 */
export async function findImage(
  name: string,
  root: string,
  options: FindImageOptions,
): Promise<RunImage> {
  if (name === HOST_IMAGE) return hostImage(options.platform);
  const [{ ImageStore }, { matches, parsePlatform, platformName }] = await Promise.all([
    import("../sentry/image/image-store.ts"),
    import("../sentry/image/platform.ts"),
  ]);
  const store = new ImageStore(root);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  let image = options.pull === "always" ? undefined : await store.find(name);
  const fits = image !== undefined && (!platform || matches(platform, image.config.platform));
  if (image === undefined || !fits) {
    if (options.pull === "never") {
      throw new CliError("NO_SUCH_IMAGE", `No such image: ${name}`, {
        hint: `Fetch it with "ddcli pull ${name}", or leave out --pull never`,
      });
    }
    const { pullImage } = await import("./pull-image.ts");
    if (!options.quiet && options.pull !== "always") {
      process.stderr.write(`Unable to find image '${name}' locally\n`);
    }
    image = (await pullImage(store, name, platform, options.quiet ? "none" : "stderr")).image;
  }
  const isa = ISAS[image.config.platform.architecture];
  if (isa === undefined || image.config.platform.os !== "linux") {
    throw new CliError(
      "BAD_PLATFORM",
      `The image ${name} is for ${platformName(image.config.platform)}, which dd does not run`,
    );
  }
  if (isa !== HOST_ISA && platform === undefined && !options.quiet) {
    const { platform: own } = image.config;
    process.stderr.write(
      `The image ${name} is for ${platformName(own)}: translating its programs\n`,
    );
  }
  const { id, layerDirectories: layers, config } = image;
  return { id, isa, layers, config: config.config };
}

function hostImage(platform: string | undefined): RunImage {
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  if (platform !== undefined && !platform.startsWith(`linux/${architecture}`)) {
    throw new CliError("BAD_PLATFORM", `The image host is for linux/${architecture} only`);
  }
  return {
    id: HOST_IMAGE,
    isa: architecture === "arm64" ? "arm64" : "x86_64",
    layers: [],
    config: {
      Env: [`PATH=${DEFAULT_PATH}`],
      Cmd: [existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh"],
      WorkingDir: "/",
      User: "",
      Volumes: [],
      ExposedPorts: [],
      Labels: {},
    },
  };
}

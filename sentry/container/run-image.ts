import { existsSync } from "node:fs";
import type { Isa } from "../abi/numbers.ts";
import type { StoredImage } from "../image/image-store.ts";
import { isaOf, platformName } from "../image/platform.ts";
import { ContainerError } from "./errors.ts";
import { DEFAULT_PATH, type ImageDefaults } from "./process-config.ts";

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
    /** `80/tcp`, ... */
    readonly ExposedPorts: readonly string[];
    readonly StopSignal?: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

/** A stored image as a container needs it. @throws {ContainerError} `BAD_PLATFORM`. */
export function runImage(name: string, image: StoredImage): RunImage {
  const { id, layerDirectories: layers, config } = image;
  const isa = isaOf(config.platform);
  if (isa === undefined) {
    throw new ContainerError(
      "BAD_PLATFORM",
      `The image ${name} is for ${platformName(config.platform)}, which dd does not run`,
    );
  }
  return { id, isa, layers, config: config.config };
}

/**
 * This machine's own system directories as an image.
 * @throws {ContainerError} `BAD_PLATFORM`.
 */
export function hostImage(platform: string | undefined): RunImage {
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  if (platform !== undefined && !platform.startsWith(`linux/${architecture}`)) {
    throw new ContainerError("BAD_PLATFORM", `The image host is for linux/${architecture} only`);
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

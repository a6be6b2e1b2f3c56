import { HOST_IMAGE, hostImage, type RunImage, runImage } from "../sentry/container/run-image.ts";
import { HOST_ISA } from "../sentry/host/isa.ts";
import { CliError } from "./errors.ts";

export interface FindImageOptions {
  /** `always`, `never` or `missing`. */
  readonly pull: string | undefined;
  readonly platform: string | undefined;
  readonly quiet: boolean;
}

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
    const wanted = platform === undefined ? {} : { platform };
    image = (await pullImage(store, name, wanted, options.quiet ? "none" : "stderr")).image;
  }
  const run = runImage(name, image);
  if (run.isa !== HOST_ISA && platform === undefined && !options.quiet) {
    const { platform: own } = image.config;
    process.stderr.write(
      `The image ${name} is for ${platformName(own)}: translating its programs\n`,
    );
  }
  return run;
}

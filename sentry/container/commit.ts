import { fromText, toText } from "../abi/bytes.ts";
import { applyChanges, type Expander } from "../image/config-change.ts";
import { ImageError } from "../image/errors.ts";
import { ImageBuilder } from "../image/image-builder.ts";
import { type ContainerConfig, readDocument } from "../image/image-document.ts";
import type { ImageStore, StoredImage } from "../image/image-store.ts";
import { configOf } from "./container-config.ts";
import { ContainerError } from "./errors.ts";
import type { FilesClient } from "./files-client.ts";
import type { ContainerRecord } from "./record.ts";
import { HOST_IMAGE } from "./run-image.ts";

/** What the image is to say beside what its container says. */
export interface CommitWishes {
  readonly names: readonly string[];
  readonly comment: string;
  readonly author: string;
  /** On top of the container's configuration. */
  readonly config: object;
  /** Dockerfile instructions, after that. */
  readonly changes: readonly string[];
  /** Replaces variables in them; see config-change.ts. */
  readonly expand: Expander;
}

/**
 * Makes an image of a container: its changes are a layer on top of its image.
 * @param files of the container. Who wants them to hold still pauses it.
 * @throws {ContainerError} `NO_LAYERS` for a container of the image host.
 * @throws {ImageError} `IMAGE_NOT_FOUND` when its own is gone, `CHANGE_INVALID`, `REFERENCE_INVALID`.
 */
export async function commitContainer(
  images: ImageStore,
  record: ContainerRecord,
  files: FilesClient,
  { names, comment, author, config: asked, changes, expand }: CommitWishes,
  gone: AbortSignal,
): Promise<StoredImage> {
  const { image: parentId } = record.spec.rootfs;
  if (parentId === HOST_IMAGE) {
    throw new ContainerError(
      "NO_LAYERS",
      "a container of the image host cannot be committed: this machine's own files are no layer",
    );
  }
  return ImageBuilder.run(images, gone, async (builder) => {
    const parent = await images.find(parentId);
    if (parent === undefined) throw new ImageError("IMAGE_NOT_FOUND", parentId);
    const image = readDocument(parent.configBytes).config;
    const config = committedConfig(record, image, asked, { changes, expand });
    const layer = await builder.createLayer(await files.layer());
    const created = new Date().toISOString();
    return builder.createImage({
      parent,
      layers: [layer.diffId],
      config,
      created,
      author,
      history: [
        {
          created,
          created_by: record.process.argv.map(toText).join(" "),
          ...(author === "" ? {} : { author }),
          ...(comment === "" ? {} : { comment }),
        },
      ],
      names,
    });
  });
}

/** What was asked for, with the instructions carried out, on top of what the container has. */
function committedConfig(
  record: ContainerRecord,
  image: ContainerConfig,
  asked: object,
  { changes, expand }: Pick<CommitWishes, "changes" | "expand">,
): ContainerConfig {
  const wanted = present(asked);
  const own = ownConfig(record, image);
  const run = applyChanges(wanted, changes, (text, env) =>
    expand(text, [...(own.Env ?? []), ...env]),
  );
  const { Entrypoint, Cmd } = run;
  const volumes = [...Object.keys(own.Volumes ?? {}), ...Object.keys(run.Volumes ?? {})];
  const ports = [...Object.keys(own.ExposedPorts ?? {}), ...Object.keys(run.ExposedPorts ?? {})];
  const set = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]));
  return {
    ...run,
    User: run.User || (own.User ?? ""),
    Env: mergedEnv(imageEnv(record), run.Env ?? []),
    // An entrypoint of one's own makes the container's command meaningless.
    ...commandOf(Entrypoint, Cmd, own),
    WorkingDir: run.WorkingDir || (own.WorkingDir ?? ""),
    Labels: { ...own.Labels, ...run.Labels },
    ...(volumes.length === 0 ? {} : { Volumes: set(volumes) }),
    ...(ports.length === 0 ? {} : { ExposedPorts: set(ports) }),
    ...(run.StopSignal ? { StopSignal: run.StopSignal } : {}),
    ...(run.Healthcheck || !own.Healthcheck ? {} : { Healthcheck: own.Healthcheck }),
    ...(own.OnBuild && !run.OnBuild ? { OnBuild: own.OnBuild } : {}),
  };
}

/**
 * The container's configuration. What ddcli has made keeps the whole command: the image's entrypoint is still one
 * when the command begins with it.
 */
function ownConfig(record: ContainerRecord, image: ContainerConfig): ContainerConfig {
  const config = present(configOf(record));
  if (record.engine !== undefined) return config;
  const argv = config.Cmd ?? [];
  const entrypoint = image.Entrypoint ?? [];
  const begins = entrypoint.length > 0 && entrypoint.every((word, i) => argv[i] === word);
  const command = begins ? { Entrypoint: entrypoint, Cmd: argv.slice(entrypoint.length) } : {};
  const { Entrypoint: _replaced, ...rest } = present(image);
  return { ...rest, ...config, ...command };
}

function commandOf(
  entrypoint: readonly string[] | null | undefined,
  cmd: readonly string[] | null | undefined,
  own: ContainerConfig,
): Pick<ContainerConfig, "Entrypoint" | "Cmd"> {
  const takeCmd = (entrypoint?.length ?? 0) === 0 && (cmd?.length ?? 0) === 0;
  const Cmd = takeCmd ? own.Cmd : cmd;
  const Entrypoint = entrypoint ?? own.Entrypoint;
  return { ...(Cmd ? { Cmd } : {}), ...(Entrypoint ? { Entrypoint } : {}) };
}

/** The members that say something. */
function present(value: object): ContainerConfig {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined && member !== null),
  );
}

/** The container's environment without what every container is given when it is made. */
function imageEnv({ process, spec, tty }: ContainerRecord): readonly string[] {
  const given = new Set([`HOSTNAME=${spec.hostname}`, ...(tty ? ["TERM=xterm"] : [])]);
  return process.env.filter((variable) => !given.has(variable)).map(toText);
}

function mergedEnv(base: readonly string[], changes: readonly string[]): readonly string[] {
  const named = new Map<string, string>();
  for (const variable of [...base, ...changes]) {
    named.set(fromText(variable.split("=", 1)[0] ?? ""), variable);
  }
  return [...named.values()];
}

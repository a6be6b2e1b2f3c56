import type { CommitChoice, CommitEngine } from "../api/engine/commit.ts";
import { ApiError } from "../api/errors.ts";
import { fromText, toText } from "../sentry/abi/bytes.ts";
import { FilesClient } from "../sentry/container/files-client.ts";
import type { Container, ContainerRecord } from "../sentry/container/record.ts";
import { HOST_IMAGE } from "../sentry/container/run-image.ts";
import { applyChanges } from "../sentry/image/config-change.ts";
import { ImageBuilder } from "../sentry/image/image-builder.ts";
import type { ContainerConfig } from "../sentry/image/image-document.ts";
import { attributesOf } from "./container/attributes.ts";
import { setPaused } from "./container/changes.ts";
import { configOf } from "./container/inspect.ts";
import type { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { refusing } from "./refusals.ts";

/** `docker commit`: the container's changes as a layer on top of its image. */
export class Commit implements CommitEngine {
  private readonly context: DaemonContext;
  private readonly containers: Pick<Containers, "find">;

  constructor(context: DaemonContext, containers: Pick<Containers, "find">) {
    this.context = context;
    this.containers = containers;
  }

  async commit(choice: CommitChoice, gone: AbortSignal): Promise<{ Id: string }> {
    const container = this.containers.find(choice.container);
    const { state } = container;
    const freeze = choice.pause && state.status === "running" && state.paused !== true;
    if (freeze) await setPaused(this.context, container, true);
    try {
      return await refusing(choice.container, () => this.make(container, choice, gone));
    } finally {
      // It may have been stopped or let go on by somebody else.
      if (freeze) await setPaused(this.context, container, false).catch(() => {});
    }
  }

  private async make(
    container: Container,
    { repository, tag, comment, author, changes, body }: CommitChoice,
    gone: AbortSignal,
  ): Promise<{ Id: string }> {
    const { images, store, backgroundProgram, events } = this.context;
    const { record } = container;
    const { image: parentId } = record.spec.rootfs;
    if (parentId === HOST_IMAGE) {
      throw new ApiError(
        "INVALID",
        "a container of the image host cannot be committed: this machine's own files are no layer",
      );
    }
    const config = committedConfig(record, body ?? {}, changes);
    const image = await ImageBuilder.run(images, gone, async (builder) => {
      const parent = await images.find(parentId);
      if (parent === undefined) throw new ApiError("NO_SUCH_IMAGE", parentId);
      const layer = await builder.createLayer(
        await new FilesClient(store, container, backgroundProgram).layer(),
      );
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
        names: repository === undefined ? [] : [tag ? `${repository}:${tag}` : repository],
      });
    });
    events.emit("container", "commit", record.spec.id, {
      ...attributesOf(record),
      comment,
      imageID: image.id,
      imageRef: image.tags[0] ?? "",
    });
    return { Id: image.id };
  }
}

/** What was asked for, with the instructions carried out, on top of what the container has. */
function committedConfig(
  record: ContainerRecord,
  asked: object,
  changes: readonly string[],
): ContainerConfig {
  const wanted = present(asked);
  const own = present(configOf(record));
  const run = applyChanges(wanted, changes);
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

import type { CommitChoice, CommitEngine } from "../api/engine/commit.ts";
import { ApiError } from "../api/errors.ts";
import { expandChange } from "../builder/dockerfile/expand-change.ts";
import { commitContainer } from "../sentry/container/commit.ts";
import { FilesClient } from "../sentry/container/files-client.ts";
import type { Container } from "../sentry/container/record.ts";
import { attributesOf } from "./container/attributes.ts";
import { setPaused } from "./container/changes.ts";
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
    const runs = choice.pause && state.status === "running" && state.paused !== true;
    const freeze = runs && (await this.freeze(container));
    try {
      return await refusing(choice.container, () => this.make(container, choice, gone));
    } finally {
      // It may have been stopped or let go on by somebody else.
      if (freeze) await setPaused(this.context, container, false).catch(() => {});
    }
  }

  /** @returns false for a container that has ended meanwhile, which holds still by itself. */
  private async freeze(container: Container): Promise<boolean> {
    try {
      await setPaused(this.context, container, true);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "NOT_RUNNING") return false;
      throw error;
    }
  }

  private async make(
    container: Container,
    { repository, tag, comment, author, changes, body }: CommitChoice,
    gone: AbortSignal,
  ): Promise<{ Id: string }> {
    const { images, store, backgroundProgram, events } = this.context;
    const { record } = container;
    const files = new FilesClient(store, container, backgroundProgram);
    const names = repository === undefined ? [] : [tag ? `${repository}:${tag}` : repository];
    const config = body ?? {};
    const wishes = { names, comment, author, config, changes, expand: expandChange };
    const image = await commitContainer(images, record, files, wishes, gone);
    const labels = image.config.config.Labels ?? {};
    events.emit("image", "create", image.id, { ...labels, name: image.id });
    for (const name of image.tags) events.emit("image", "tag", image.id, { ...labels, name });
    events.emit("container", "commit", record.spec.id, {
      ...attributesOf(record),
      comment,
      imageID: image.id,
      imageRef: image.tags[0] ?? "",
    });
    return { Id: image.id };
  }
}

import type { Digest } from "../../sentry/image/digest.ts";
import {
  type ContainerConfig,
  type HistoryEntry,
  readDocument,
} from "../../sentry/image/image-document.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";
import type { Platform } from "../../sentry/image/platform.ts";
import type { StepResult } from "./step-cache.ts";

/** What the sources of BuildKit say of an image that it has made. */
const COMMENT = "buildkit.dockerfile.v0";
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

/** The image that a stage is on the way to. */
export class StageState {
  /** What it is made for; in the end, what was asked for, whatever it was made with. */
  platform: Platform;
  /** The image that it all began with, if any. */
  readonly image: StoredImage | undefined;
  /** Bottom to top, the image's included. */
  readonly layers: Digest[];
  /** Since the image. */
  readonly history: HistoryEntry[];
  config: { -readonly [K in keyof ContainerConfig]: ContainerConfig[K] };
  author: string | undefined;
  /** RFC 3339: of the youngest part so far. */
  created: string | undefined;
  /** What expansions and RUN see: ENV and ARG, the later one counts. */
  readonly variables: Map<string, string>;
  /** Of the ARGs so far, those that have a value. */
  readonly args = new Map<string, string>();
  /** Whether this stage has said CMD itself: then its ENTRYPOINT does not take it away. */
  hasCommand = false;
  /** RFC 3339: when everything has been done, where the user has chosen it. */
  epoch: string | undefined;

  private constructor(
    platform: Platform,
    image: StoredImage | undefined,
    layers: readonly Digest[],
    history: readonly HistoryEntry[],
    config: ContainerConfig,
    author: string | undefined,
    created: string | undefined,
  ) {
    this.platform = platform;
    this.image = image;
    this.layers = [...layers];
    this.history = [...history];
    this.config = { ...config };
    this.author = author;
    this.created = created;
    this.variables = new Map((config.Env ?? []).map(splitVariable));
  }

  /** Nothing at all. */
  static scratch(platform: Platform, isClassic = false): StageState {
    const Env = [`PATH=${DEFAULT_PATH}`];
    const config = isClassic ? { Env } : { Env, WorkingDir: "/" };
    return new StageState(platform, undefined, [], [], config, undefined, undefined);
  }

  static of(image: StoredImage): StageState {
    const { config } = readDocument(image.configBytes);
    const { diffIds, platform, author, created } = image.config;
    const state = new StageState(platform, image, diffIds, [], config, author, created);
    if (!state.variables.has("PATH")) state.setVariable("PATH", DEFAULT_PATH);
    return state;
  }

  /** What a stage that stands on this one's image begins with. */
  derive(): StageState {
    const { platform, image, layers, history, config, author, created } = this;
    return new StageState(platform, image, layers, history, config, author, created);
  }

  /** What a stage of the same Dockerfile that stands on this one begins with: its ARGs are there, too. */
  inherit(): StageState {
    const state = this.derive();
    for (const [name, value] of this.variables) state.variables.set(name, value);
    for (const [name, value] of this.args) state.args.set(name, value);
    return state;
  }

  /** As ENV does: for the build and for the image. */
  setVariable(name: string, value: string): void {
    this.variables.set(name, value);
    const others = (this.config.Env ?? []).map((entry) => splitVariable(entry));
    const known = others.some(([other]) => other === name);
    const all = known
      ? others.map(([other, old]) => [other, other === name ? value : old] as const)
      : [...others, [name, value] as const];
    this.config.Env = all.map(([other, each]) => `${other}=${each}`);
  }

  get shell(): readonly string[] {
    return this.config.Shell ?? DEFAULT_SHELL;
  }

  get workingDirectory(): string {
    return this.config.WorkingDir || "/";
  }

  get user(): string {
    return this.config.User ?? "";
  }

  /**
   * Notes what was done. When, is told by what it has made: what was made before is as old as it was, so that the same
   * build gives the same image.
   */
  commit(createdBy: string, made: StepResult | undefined): void {
    const layers = made?.layers;
    this.layers.push(...(layers ?? []));
    if (made !== undefined) this.created = new Date(made.createdAt).toISOString();
    if (this.epoch !== undefined) this.created = this.epoch;
    this.history.push({
      ...(this.created === undefined ? {} : { created: this.created }),
      created_by: createdBy,
      comment: COMMENT,
      ...(layers === undefined || layers.length === 0 ? { empty_layer: true } : {}),
    });
  }
}

function splitVariable(entry: string): [name: string, value: string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

import { resolve } from "node:path";
import {
  ignorePatterns,
  LocalDirectory,
  readHostFile,
} from "../builder/context/local-directory.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../builder/context/remote.ts";
import { SECRET_BYTES_MAX } from "../builder/limits.ts";
import type { NamedContext, SecretSource } from "../builder/solve/request.ts";
import { CliError, usageError } from "./errors.ts";

/** Reads `--secret` and `--ssh`. @throws {CliError} */
export function buildSecrets(secrets: readonly string[], agents: readonly string[]): SecretSource {
  const bytes = new Map(secrets.map(readSecret));
  const sockets = new Map(agents.map(readAgent));
  return {
    secret: async (id) => bytes.get(id),
    agentSocket: async (id) => sockets.get(id),
  };
}

function readSecret(text: string): readonly [id: string, bytes: Uint8Array] {
  const fields = new Map(
    text.split(",").map((field) => {
      const equals = field.indexOf("=");
      if (equals < 0) throw usageError(`invalid field '${field}' must be a key=value pair`);
      return [field.slice(0, equals), field.slice(equals + 1)] as const;
    }),
  );
  const id = fields.get("id");
  if (id === undefined || id === "") throw usageError("a secret needs an id");
  const path = fields.get("src") ?? fields.get("source");
  const name = fields.get("env");
  const value = path === undefined ? process.env[name ?? id] : undefined;
  if (value !== undefined) return [id, Buffer.from(value)];
  const bytes = readHostFile(resolve(path ?? id), SECRET_BYTES_MAX);
  if (bytes !== undefined) return [id, bytes];
  throw new CliError("BUILD_NOT_FOUND", `failed to stat ${path ?? id}: no such file or directory`);
}

function readAgent(text: string): readonly [id: string, socket: string] {
  const equals = text.indexOf("=");
  const socket = equals < 0 ? process.env["SSH_AUTH_SOCK"] : resolve(text.slice(equals + 1));
  if (socket !== undefined) return [equals < 0 ? text : text.slice(0, equals), socket];
  throw usageError(
    "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
    "Start an agent, or give its socket: --ssh default=PATH",
  );
}

/** Reads `--build-context`. @throws {CliError} */
export function namedContexts(words: readonly string[]): ReadonlyMap<string, NamedContext> {
  return new Map(
    words.map((word) => {
      const equals = word.indexOf("=");
      if (equals <= 0) throw usageError(`invalid context value: ${word}, expected key=value`);
      return [word.slice(0, equals), contextOf(word.slice(equals + 1))] as const;
    }),
  );
}

function contextOf(place: string): NamedContext {
  const image = /^docker-image:\/\/(.+)$/.exec(place)?.[1];
  if (image !== undefined) return { kind: "image", reference: image };
  if (isGit(place)) return { kind: "files", source: new GitRepository(place, false) };
  if (isUrl(place)) return { kind: "files", source: new UrlFile(place, undefined) };
  const directory = resolve(place);
  const source = new LocalDirectory(directory, ignorePatterns(directory, undefined));
  return { kind: "files", source };
}

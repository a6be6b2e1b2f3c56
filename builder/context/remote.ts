import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, open, realpath, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fromText } from "../../sentry/abi/bytes.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import { writeTar } from "../../sentry/image/tar-writer.ts";
import { cleanPath } from "../dockerfile/path.ts";
import { BuildError } from "../errors.ts";
import { DOWNLOAD_BYTES_MAX } from "../limits.ts";
import type { VertexReport } from "../solve/progress.ts";
import type { FileSource } from "../solve/request.ts";
import { LocalDirectory } from "./local-directory.ts";

const NAME_BYTES_MAX = 255;

/** Whether a source of ADD, or a context, is to be fetched by HTTP. */
export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** A git repository as BuildKit recognises one: by its scheme, `git@`, or `.git` at the end of a URL's path. */
export function isGit(text: string): boolean {
  return (
    /^(?:git|ssh):\/\//i.test(text) ||
    /^[\w.-]+@[\w.-]+:/.test(text) ||
    /^https?:\/\/[^#?]+\.git(?:\?[^#]*)?(?:#.*)?$/i.test(text) ||
    /^github\.com\/[^/]+\/[^/]+/.test(text)
  );
}

/** A file of the web. */
export class UrlFile implements FileSource {
  readonly #url: string;
  readonly #checksum: string | undefined;

  /** @param checksum `sha256:...` that the file must have */
  constructor(url: string, checksum: string | undefined) {
    this.#url = url;
    this.#checksum = checksum;
  }

  /** What it is called where a directory is its destination. */
  static nameOf(url: string): string {
    const last = new URL(url).pathname.split("/").at(-1) ?? "";
    const name = Buffer.from(decodeURIComponent(last)).subarray(0, NAME_BYTES_MAX).toString();
    return name === "" || name === "." || name === ".." || name.includes("/")
      ? "__unnamed__"
      : name;
  }

  async load(
    directory: string,
    _needed: unknown,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<void> {
    const temporary = `${directory}.download`;
    try {
      const { size, mtime } = await download(this.#url, temporary, this.#checksum, report, signal);
      const file = await open(temporary, "r");
      try {
        const entry = {
          path: fromText(UrlFile.nameOf(this.#url)),
          type: "file",
          mode: 0o600,
          uid: 0,
          gid: 0,
          size,
          mtime,
          link: "",
          major: 0,
          minor: 0,
          xattrs: new Map(),
        } as const;
        const content = file.createReadStream({ autoClose: false });
        await writeLayer(writeTar([{ entry, content }]), directory);
      } finally {
        await file.close();
      }
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

async function download(
  url: string,
  path: string,
  checksum: string | undefined,
  report: VertexReport,
  signal: AbortSignal,
): Promise<{ size: number; mtime: bigint }> {
  const response = await fetch(url, { signal, redirect: "follow" }).catch((error: unknown) => {
    if (signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? cause.message : message;
    throw new BuildError("BUILD_INPUT", `Get ${JSON.stringify(url)}: ${reason}`);
  });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new BuildError("BUILD_INPUT", `invalid response status ${response.status}`);
  }
  const hash = createHash("sha256");
  const total = Number(response.headers.get("content-length") ?? 0);
  const file = await open(path, "wx", 0o600);
  let size = 0;
  try {
    for await (const chunk of response.body) {
      const bytes = chunk as Uint8Array;
      size += bytes.length;
      if (size > DOWNLOAD_BYTES_MAX) {
        throw new BuildError("BUILD_INPUT", `${url} has more than ${DOWNLOAD_BYTES_MAX} bytes`);
      }
      hash.update(bytes);
      await file.write(bytes);
      report.advance(url, size, total);
    }
  } finally {
    await file.close();
  }
  const digest = `sha256:${hash.digest("hex")}`;
  if (checksum !== undefined && checksum !== digest) {
    throw new BuildError("BUILD_INPUT", `digest mismatch ${digest}: ${checksum}`);
  }
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  return { size, mtime: Number.isNaN(modified) ? 0n : BigInt(modified) * 1_000_000n };
}

/** The words of a query that say what of a repository is wanted; `ref`, `branch` and `tag` are one. */
const QUERY: ReadonlySet<string> = new Set(["ref", "branch", "tag", "subdir", "keep-git-dir"]);

/** @throws {BuildError} BUILD_INVALID for a query that asks for something else */
function gitPlace(text: string): {
  readonly url: string;
  readonly reference: string;
  readonly directory: string;
  readonly keeps: boolean;
} {
  const [, base = "", query, fragment = ""] =
    /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? [];
  const url = base.startsWith("github.com/") ? `https://${base}` : base;
  const [reference = "", directory = ""] = fragment.split(":", 2);
  if (query === undefined) return { url, reference, directory, keeps: false };
  const words = new URLSearchParams(query);
  const unknown = [...words.keys()].find((each) => !QUERY.has(each));
  if (unknown !== undefined) {
    throw new BuildError("BUILD_INVALID", `unexpected query ${JSON.stringify(unknown)} in ${text}`);
  }
  const own = words.get("ref") ?? words.get("branch") ?? words.get("tag");
  if (own !== null && reference !== "" && own !== reference) {
    throw new BuildError("BUILD_INVALID", `ref conflicts: ${reference} and ${own} in ${text}`);
  }
  const keep = words.get("keep-git-dir");
  return {
    url,
    reference: own ?? reference,
    directory: words.get("subdir") ?? directory,
    keeps: keep !== null && keep !== "false" && keep !== "0",
  };
}

/** A git repository, by the host's git. */
export class GitRepository implements FileSource {
  readonly #url: string;
  readonly #reference: string;
  readonly #directory: string;
  readonly #keepGitDirectory: boolean;

  /** @param text `URL#reference:directory`, or `URL?ref=reference&subdir=directory` */
  constructor(text: string, keepGitDirectory: boolean) {
    const { url, reference, directory, keeps } = gitPlace(text);
    this.#url = url;
    this.#reference = reference;
    this.#directory = cleanPath(`/${directory}`);
    this.#keepGitDirectory = keepGitDirectory || keeps;
    if (this.#url.startsWith("-") || reference.startsWith("-")) {
      throw new BuildError("BUILD_INVALID", `invalid git reference ${JSON.stringify(text)}`);
    }
  }

  async load(
    directory: string,
    needed: readonly string[] | undefined,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<void> {
    const clone = `${directory}.git`;
    try {
      await mkdir(clone, { mode: 0o700 });
      const git = (...words: string[]) => runGit(clone, words, report, signal);
      await git("init", "--quiet", ".");
      const wanted = this.#reference === "" ? "HEAD" : this.#reference;
      await git("fetch", "--quiet", "--depth=1", "--", this.#url, wanted).catch((error: Error) => {
        // A server of plain files gives only everything.
        if (!error.message.includes("does not support shallow")) throw error;
        return git("fetch", "--quiet", "--", this.#url, wanted);
      });
      await git("checkout", "--quiet", "--detach", "FETCH_HEAD");
      if ((await stat(join(clone, ".gitmodules")).catch(() => undefined)) !== undefined) {
        await git("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1");
      }
      if (!this.#keepGitDirectory) await rm(join(clone, ".git"), { recursive: true });
      // The directory comes from the reference; symlinks in it are the repository's.
      const source = new LocalDirectory(clone, []);
      if (this.#directory === "/") await source.load(directory, needed, report, signal);
      else await this.#subdirectory(clone, directory, report, signal);
    } finally {
      await rm(clone, { recursive: true, force: true });
    }
  }

  async #subdirectory(
    clone: string,
    directory: string,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<void> {
    const path = await realpath(join(clone, this.#directory)).catch(() => undefined);
    if (path === undefined || !path.startsWith(`${await realpath(clone)}/`)) {
      throw new BuildError("BUILD_NOT_FOUND", `subdir not found: ${this.#directory}`);
    }
    await new LocalDirectory(path, []).load(directory, undefined, report, signal);
  }
}

/** Runs git without the user's configuration, hooks or prompts. */
async function runGit(
  cwd: string,
  words: readonly string[],
  report: VertexReport,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(
    "git",
    ["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=true", ...words],
    {
      cwd,
      signal,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: cwd,
        GIT_TERMINAL_PROMPT: "0",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_ALLOW_PROTOCOL: "https:http:ssh:git",
        SSH_AUTH_SOCK: process.env["SSH_AUTH_SOCK"],
      },
    },
  );
  let errors = "";
  child.stdout.on("data", (bytes: Buffer) => report.log(1, bytes));
  child.stderr.on("data", (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-4096);
    report.log(2, bytes);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(new BuildError("BUILD_CANCELED", "context canceled"));
      else if (error.code === "ENOENT") {
        reject(new BuildError("BUILD_UNSUPPORTED", "git is not installed on this host"));
      } else reject(error);
    });
    child.on("close", resolve);
  });
  if (code === 0) return;
  throw new BuildError("BUILD_INPUT", `failed to fetch remote: git ${words[0]}: ${errors.trim()}`);
}

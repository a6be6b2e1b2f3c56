import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import { accepts, freePort } from "../../fixtures/ports.ts";
import { scratch } from "./tar-fixture.ts";

/** Runs a program of the system; what it prints to stderr is in the error where it fails. */
export function tool(command: string, ...args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      throw new Error(`${command} is missing: apt-get install docker-registry skopeo umoci`);
    }
    throw error;
  }
}

export interface RegistryFixture {
  /** The section of that name in its configuration. */
  readonly auth?: object | undefined;
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    readonly clientcas?: string[];
  };
}

/** A real docker-registry, for one test. */
export async function startRegistry(
  t: ExecutionContext,
  { auth, tls }: RegistryFixture = {},
): Promise<string> {
  const directory = scratch(t);
  const port = await freePort();
  const configuration = join(directory, "registry.json");
  const root = join(directory, "data");
  mkdirSync(root);
  writeFileSync(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: root } },
      http: { addr: `127.0.0.1:${port}`, ...(tls === undefined ? {} : { tls }) },
      ...(auth === undefined ? {} : { auth }),
    }),
  );
  tool("docker-registry", "--version");
  const child = spawn("docker-registry", ["serve", configuration], { stdio: "ignore" });
  t.teardown(() => child.kill("SIGKILL"));
  for (let tries = 0; ; tries++) {
    if (await accepts(port)) return `127.0.0.1:${port}`;
    if (tries === 1200) throw new Error("docker-registry does not answer");
    await sleep(50);
  }
}

/** A registry for user `me` with password `pass:word`. */
export function startPrivateRegistry(t: ExecutionContext): Promise<string> {
  const users = join(scratch(t), "htpasswd");
  const bcrypt = "$2y$05$KU6VWqV6gPZpASwf/i7/XO/MP9K7rDF9UCbpYisrZ.g8lCw0Q5RBS";
  writeFileSync(users, `me:${bcrypt}\n`);
  return startRegistry(t, { auth: { htpasswd: { realm: "test", path: users } } });
}

export interface LayoutOptions {
  readonly tag: string;
  readonly layers: readonly Uint8Array[];
  readonly architecture?: string;
  readonly config?: readonly string[];
}

/** An OCI layout as umoci makes it, with one image in it; returns its directory. */
export function makeLayout(t: ExecutionContext, options: LayoutOptions): string {
  const directory = scratch(t);
  const layout = join(directory, "oci");
  const image = `${layout}:${options.tag}`;
  tool("umoci", "init", "--layout", layout);
  tool("umoci", "new", "--image", image);
  for (const [i, layer] of options.layers.entries()) {
    const path = join(directory, `${i}.tar`);
    writeFileSync(path, layer);
    tool("umoci", "raw", "add-layer", "--image", image, path);
  }
  tool(
    "umoci",
    "config",
    "--image",
    image,
    "--os=linux",
    `--architecture=${options.architecture ?? "amd64"}`,
    ...(options.config ?? []),
  );
  return layout;
}

/** Pushes with skopeo; `flags` are skopeo's. */
export function push(from: string, to: string, ...flags: readonly string[]): void {
  tool("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", ...flags, from, to);
}

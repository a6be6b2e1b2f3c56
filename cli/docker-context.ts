import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CliError } from "./errors.ts";

/** The name of the context. */
export const CONTEXT_NAME = "dd";
/** What docker uses without a context. */
const DEFAULT_CONTEXT = "default";

type Json = Record<string, unknown>;

/** The part of docker's client configuration that says which engine it speaks to. */
export class DockerContext {
  private readonly configFile: string;
  private readonly metaDirectory: string;
  private readonly tlsDirectory: string;
  private readonly directory: string;

  /** @param env its `DOCKER_CONFIG` says where docker's client is configured. */
  constructor(env: NodeJS.ProcessEnv) {
    this.directory = env["DOCKER_CONFIG"] || join(homedir(), ".docker");
    const id = createHash("sha256").update(CONTEXT_NAME).digest("hex");
    this.configFile = join(this.directory, "config.json");
    this.metaDirectory = join(this.directory, "contexts", "meta", id);
    this.tlsDirectory = join(this.directory, "contexts", "tls", id);
  }

  /** Makes the context, or moves it to another socket. @param use also selects it. */
  install(socketPath: string, use: boolean): void {
    const previous = this.previous() ?? this.current();
    mkdirSync(this.metaDirectory, { recursive: true, mode: 0o755 });
    replace(join(this.metaDirectory, "meta.json"), {
      Name: CONTEXT_NAME,
      Metadata: { Description: "dd: containers without a virtual machine", Previous: previous },
      Endpoints: { docker: { Host: `unix://${socketPath}`, SkipTLSVerify: false } },
    });
    if (use) this.select(CONTEXT_NAME);
  }

  /** @returns whether there was one. */
  uninstall(): boolean {
    const there = existsSync(this.metaDirectory);
    if (this.current() === CONTEXT_NAME) this.select(this.previous() ?? DEFAULT_CONTEXT);
    rmSync(this.metaDirectory, { recursive: true, force: true });
    rmSync(this.tlsDirectory, { recursive: true, force: true });
    return there;
  }

  private current(): string {
    const name = this.readConfig()["currentContext"];
    return typeof name === "string" && name !== "" ? name : DEFAULT_CONTEXT;
  }

  private previous(): string | undefined {
    const meta = readJson(join(this.metaDirectory, "meta.json"));
    const name = (meta?.["Metadata"] as Json | undefined)?.["Previous"];
    return typeof name === "string" ? name : undefined;
  }

  private select(name: string): void {
    const { currentContext: _old, ...config } = this.readConfig();
    if (name === DEFAULT_CONTEXT && Object.keys(config).length === 0) {
      rmSync(this.configFile, { force: true });
      return;
    }
    replace(
      this.configFile,
      name === DEFAULT_CONTEXT ? config : { ...config, currentContext: name },
    );
  }

  /** @throws {CliError} rather than lose what a user has written there. */
  private readConfig(): Json {
    if (!existsSync(this.configFile)) return {};
    const config = readJson(this.configFile);
    if (config !== undefined) return config;
    throw new CliError("DOCKER_CONFIG", `${this.configFile} is no JSON object`, {
      hint: "Repair it first; docker itself cannot read it either",
    });
  }
}

function readJson(path: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Json)
      : undefined;
  } catch {
    return undefined;
  }
}

function replace(path: string, value: Json): void {
  const temporary = `${path}.dd-new`;
  writeFileSync(temporary, `${JSON.stringify(value, undefined, "\t")}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

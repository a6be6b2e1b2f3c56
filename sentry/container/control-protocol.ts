/**
 * What is said over a container's control socket: frames of a length (u32, little-endian) and that many
 * bytes of JSON, in both directions; descriptors travel beside the first bytes of the request they belong
 * to. Whoever connects is the same user, but may be wrong, old, or anything: every request is checked whole.
 */
import type { ByteString } from "../abi/bytes.ts";
import type { ConfinementLayer, ContainerStats, ExitStatus, ProcessInfo } from "../spec.ts";
import { type FilesReply, type FilesRequest, parseFilesRequest } from "./files-protocol.ts";
import type { HealthStatus } from "./health.ts";
import type { EndpointSettings } from "./network/network-record.ts";
import type { FailureReason } from "./process-spec.ts";
import type { ProcessConfig } from "./record.ts";
import type { RecordUpdate } from "./record-update.ts";
import type { ClientEnds } from "./streams.ts";

export const FRAME_BYTES_MAX = 1 << 20;
const LENGTH_BYTES = 4;
const WORDS_MAX = 65_536;
const SIGNAL_MAX = 64;
const WINDOW_MAX = 0xffff;
const TIMEOUT_MS_MAX = 2 ** 31;

export type Request =
  /**
   * Starts a process on the descriptors sent along: stdin, stdout, stderr; or, with a terminal, where it is
   * printed and where it is typed (left out: nothing is typed).
   */
  | {
      readonly op: "exec";
      readonly process: ProcessConfig;
      /** The size of the terminal it gets; absent: none. */
      readonly terminal?: { readonly rows: number; readonly cols: number };
    }
  /**
   * Joins the sender with the container's streams, on the descriptors sent along: one for each stream that
   * is wanted, in this order. Answered by `done`; from then on the descriptors are all there is to it.
   */
  | {
      readonly op: "attach";
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
    }
  /** Of the terminal of this connection's exec; without one, of the container's. */
  | { readonly op: "resize"; readonly rows: number; readonly cols: number }
  /** To this connection's exec. */
  | { readonly op: "signal"; readonly signo: number }
  /** To the container's first process; with `final` no restart policy is to start it again. */
  | { readonly op: "kill"; readonly signo: number; readonly final?: boolean }
  /** `signo`, and SIGKILL when that did not help; answered when the container has ended. */
  | {
      readonly op: "stop";
      readonly signo: number;
      readonly timeoutMs: number;
      /** It is to run again: it stays although it was to be removed at its end. */
      readonly keep?: boolean;
    }
  /** Answered when the container has ended. */
  | { readonly op: "wait" }
  /** Answered whenever the container's health has changed, and last when the container has ended. */
  | { readonly op: "watch" }
  /** Joins a network. */
  | {
      readonly op: "network-connect";
      readonly network: string;
      readonly settings: EndpointSettings;
    }
  /** Leaves a network. */
  | { readonly op: "network-disconnect"; readonly network: string }
  /** Whether a process can be started as this user; answered with an error when the files know none such. */
  | { readonly op: "find-user"; readonly user: string }
  | { readonly op: "top" }
  | { readonly op: "stats" }
  | { readonly op: "confinement" }
  /** Freezes all processes, or lets them go on; answered with an error when they are so already. */
  | { readonly op: "pause" }
  | { readonly op: "unpause" }
  | { readonly op: "rename"; readonly name: string }
  /** Answered by `changed`. */
  | { readonly op: "update"; readonly update: RecordUpdate }
  | FilesRequest;

export type Reply =
  | {
      readonly kind: "error";
      readonly message: string;
      readonly exitCode: number;
      /** The code of the error, where it has one. */
      readonly code?: string;
      readonly reason?: FailureReason;
    }
  | { readonly kind: "done" }
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "exited"; readonly status: ExitStatus }
  | { readonly kind: "health"; readonly status: HealthStatus }
  | { readonly kind: "top"; readonly processes: readonly ProcessInfo[] }
  | { readonly kind: "stats"; readonly stats: ContainerStats }
  | { readonly kind: "confinement"; readonly layers: readonly ConfinementLayer[] }
  /** With what holds only from the next start on. */
  | { readonly kind: "changed"; readonly late: readonly string[] }
  | FilesReply;

/** Whether so many descriptors can come with an exec. */
export function fitsExec(request: Request & { readonly op: "exec" }, descriptors: number): boolean {
  return request.terminal === undefined
    ? descriptors === 3
    : descriptors === 1 || descriptors === 2;
}

/** The descriptors that came with an attach, each in its place; undefined when their number is wrong. */
export function clientEnds(
  request: Pick<Request & { readonly op: "attach" }, "stdin" | "stdout" | "stderr">,
  descriptors: readonly number[],
): ClientEnds | undefined {
  const rest = [...descriptors];
  const ends = {
    stdin: request.stdin ? rest.shift() : undefined,
    stdout: request.stdout ? rest.shift() : undefined,
    stderr: request.stderr ? rest.shift() : undefined,
  };
  const wanted = [request.stdin, request.stdout, request.stderr].filter((each) => each).length;
  return wanted === descriptors.length ? ends : undefined;
}

/** A message as it goes over the wire. */
export function encodeFrame(message: Request | Reply): Buffer {
  const body = Buffer.from(JSON.stringify(message), "utf8");
  if (body.length > FRAME_BYTES_MAX) throw new RangeError("A control message is too long");
  const frame = Buffer.alloc(LENGTH_BYTES + body.length);
  frame.writeUInt32LE(body.length, 0);
  body.copy(frame, LENGTH_BYTES);
  return frame;
}

/** Cuts a byte stream into messages. */
export class FrameReader {
  private pending: Buffer = Buffer.alloc(0);

  /**
   * Takes bytes as they arrive.
   * @returns the messages that are now complete, each any JSON value; or, when the stream cannot be a stream
   *   of frames, what is wrong with it: then nothing more is to be read.
   */
  push(bytes: Uint8Array): readonly unknown[] | string {
    this.pending = Buffer.concat([this.pending, bytes]);
    const messages: unknown[] = [];
    while (this.pending.length >= LENGTH_BYTES) {
      const length = this.pending.readUInt32LE(0);
      if (length > FRAME_BYTES_MAX) return "a message is too long";
      const end = LENGTH_BYTES + length;
      if (this.pending.length < end) break;
      try {
        messages.push(JSON.parse(this.pending.toString("utf8", LENGTH_BYTES, end)));
      } catch {
        return "a message is not JSON";
      }
      this.pending = this.pending.subarray(end);
    }
    return messages;
  }
}

/** Checks what a client sent. @returns the request, or what is wrong with it. */
export function parseRequest(value: unknown): Request | string {
  if (!isObject(value)) return "a request is no object";
  switch (value["op"]) {
    case "exec":
      return parseExec(value);
    case "resize": {
      const size = parseSize(value);
      return size === undefined ? "a size is malformed" : { op: "resize", ...size };
    }
    case "attach": {
      const { stdin, stdout, stderr } = value;
      return isFlag(stdin) && isFlag(stdout) && isFlag(stderr)
        ? { op: "attach", stdin, stdout, stderr }
        : "an attach is malformed";
    }
    case "signal":
    case "kill": {
      const { op, signo, final } = value;
      if (!isCount(signo, SIGNAL_MAX)) return "a signal is malformed";
      return op === "kill" && final === true ? { op, signo, final } : { op, signo };
    }
    case "stop": {
      const { signo, timeoutMs, keep } = value;
      return isCount(signo, SIGNAL_MAX) && isCount(timeoutMs, TIMEOUT_MS_MAX)
        ? { op: "stop", signo, timeoutMs, ...(keep === true ? { keep } : {}) }
        : "a stop is malformed";
    }
    case "network-connect": {
      const { network, settings } = value;
      return typeof network === "string" && isEndpoint(settings)
        ? { op: "network-connect", network, settings }
        : "a network is malformed";
    }
    case "network-disconnect": {
      const { network } = value;
      return typeof network === "string"
        ? { op: "network-disconnect", network }
        : "a network is malformed";
    }
    case "find-user": {
      const { user } = value;
      return typeof user === "string" && !user.includes("\0")
        ? { op: "find-user", user }
        : "a user is malformed";
    }
    case "rename": {
      const { name } = value;
      return typeof name === "string" ? { op: "rename", name } : "a name is malformed";
    }
    case "update":
      return parseUpdate(value["update"]);
    case "pause":
    case "unpause":
    case "wait":
    case "watch":
    case "top":
    case "stats":
    case "confinement":
      return { op: value["op"] };
    default:
      return parseFilesRequest(value) ?? "an operation is unknown";
  }
}

function parseExec(value: Record<string, unknown>): Request | string {
  const { process, terminal } = value;
  if (!isObject(process)) return "an exec has no process";
  const { argv, env, cwd, user, groupAdd, privileged } = process;
  if (!isWords(argv) || argv.length === 0 || !isWords(env)) return "an exec's words are malformed";
  if (!isBytes(cwd) || !cwd.startsWith("/")) return "an exec's directory is malformed";
  if (typeof user !== "string" || user.includes("\0")) return "an exec's user is malformed";
  const areGroups = groupAdd === undefined || isTexts(groupAdd);
  if (!areGroups || (privileged !== undefined && typeof privileged !== "boolean")) {
    return "an exec's rights are malformed";
  }
  const config: ProcessConfig = {
    ...{ argv, env, cwd, user },
    ...(groupAdd === undefined ? {} : { groupAdd }),
    ...(privileged === undefined ? {} : { privileged }),
  };
  if (terminal === undefined) return { op: "exec", process: config };
  const size = parseSize(terminal);
  return size === undefined
    ? "an exec's terminal is malformed"
    : { op: "exec", process: config, terminal: size };
}

function isEndpoint(value: unknown): value is EndpointSettings {
  if (!isObject(value)) return false;
  const { aliases, links, driverOptions, priority } = value;
  const texts = (list: unknown) =>
    Array.isArray(list) && list.every((each) => typeof each === "string");
  const optional = [value["ipv4"], value["ipv6"], value["mac"]];
  return (
    texts(aliases) &&
    texts(links) &&
    isObject(driverOptions) &&
    texts(Object.values(driverOptions)) &&
    Number.isInteger(priority) &&
    optional.every((each) => each === undefined || typeof each === "string")
  );
}

/** Of the same user's programs, which have checked it: only what would do harm here is looked at. */
function parseUpdate(value: unknown): Request | string {
  if (!isObject(value)) return "an update is malformed";
  const { limits, restart, hostConfig } = value;
  const numbers = limits === undefined || isObject(limits) ? Object.values(limits ?? {}) : [""];
  const areLimits = numbers.every((each) => typeof each === "number" && each > 0);
  const isPolicy = restart === undefined || restart === null || isObject(restart);
  return areLimits && isPolicy && (hostConfig === undefined || isObject(hostConfig))
    ? { op: "update", update: value as RecordUpdate }
    : "an update is malformed";
}

function parseSize(value: unknown): { rows: number; cols: number } | undefined {
  if (!isObject(value)) return undefined;
  const { rows, cols } = value;
  return isCount(rows, WINDOW_MAX) && isCount(cols, WINDOW_MAX) ? { rows, cols } : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown, max: number): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max;
}

function isFlag(value: unknown): value is boolean {
  return typeof value === "boolean";
}

/** A byte string that C can hold. */
function isBytes(value: unknown): value is ByteString {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every byte but NUL is allowed
  return typeof value === "string" && /^[\u0001-\u00ff]*$/.test(value);
}

function isTexts(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= WORDS_MAX &&
    value.every((each) => typeof each === "string" && !each.includes("\0"))
  );
}

function isWords(value: unknown): value is ByteString[] {
  return Array.isArray(value) && value.length <= WORDS_MAX && value.every(isBytes);
}

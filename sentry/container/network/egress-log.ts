import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { EgressAttempt } from "../../spec.ts";

const FILE = "egress.log";
/** So much is kept at least, and twice as much at most. */
const BYTES_MAX = 1 << 20;

/** What a container tried to reach outside of its networks: one JSON object a line, in its directory. */
export class EgressLog {
  private readonly path: string;
  private fd: number | undefined;
  private bytes = 0;

  constructor(directory: string) {
    this.path = join(directory, FILE);
  }

  /** Writes down an attempt; without room on the disk it is lost, which must not end the container. */
  write(attempt: EgressAttempt): void {
    try {
      this.append(attempt);
    } catch {
      this.close();
    }
  }

  private append(attempt: EgressAttempt): void {
    const line = Buffer.from(`${JSON.stringify(attempt)}\n`);
    if (this.fd !== undefined && this.bytes + line.length > BYTES_MAX) {
      this.close();
      renameSync(this.path, `${this.path}.1`);
    }
    if (this.fd === undefined) {
      this.fd = openSync(this.path, "a", 0o600);
      this.bytes = fstatSync(this.fd).size;
    }
    this.bytes += writeSync(this.fd, line);
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}

/** The attempts on record, the oldest first. @param directory the container's. */
export function readEgressLog(directory: string): readonly EgressAttempt[] {
  const path = join(directory, FILE);
  return [`${path}.1`, path].flatMap((each) =>
    textOf(each)
      .split("\n")
      .filter((line) => line !== "")
      .flatMap(parseLine),
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** A line that was cut by the end of its writer is left out. */
function parseLine(line: string): readonly EgressAttempt[] {
  try {
    return [JSON.parse(line) as EgressAttempt];
  } catch {
    return [];
  }
}

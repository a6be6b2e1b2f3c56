/** Random calls on a small tree of names, for comparing file systems with each other. */
import fc from "fast-check";
import { Errno } from "../../../sentry/abi/errno.ts";
import { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY, RENAME_EXCHANGE } from "../../../sentry/abi/file.ts";
import { chmod, chown, truncate } from "../../../sentry/vfs/attributes.ts";
import type { Guest } from "./fixture.ts";

const name = fc.constantFrom("a", "b", "c", ".wh.a");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join("/")}`);
const text = fc.constantFrom("", "x", "hello", "0123456789".repeat(20));

export const operation = fc.oneof(
  fc.record({ op: fc.constant("write" as const), path, text }),
  fc.record({ op: fc.constant("append" as const), path, text }),
  fc.record({ op: fc.constant("mkdir" as const), path }),
  fc.record({ op: fc.constant("rmdir" as const), path }),
  fc.record({ op: fc.constant("unlink" as const), path }),
  fc.record({ op: fc.constant("symlink" as const), path, target: path }),
  fc.record({ op: fc.constant("link" as const), path, to: path }),
  fc.record({ op: fc.constant("rename" as const), path, to: path }),
  fc.record({ op: fc.constant("exchange" as const), path, to: path }),
  fc.record({
    op: fc.constant("chmod" as const),
    path,
    mode: fc.constantFrom(0o700, 0o644, 0o755),
  }),
  fc.record({ op: fc.constant("chown" as const), path, uid: fc.constantFrom(0, 7) }),
  fc.record({ op: fc.constant("truncate" as const), path, size: fc.constantFrom(0, 3, 50) }),
  fc.record({ op: fc.constant("setxattr" as const), path, value: fc.constantFrom("1", "22") }),
);
export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Runs one call. @returns the name of its error, or undefined. */
export function perform(guest: Guest, call: Operation): string | undefined {
  const result = run(guest, call);
  return result instanceof Errno ? result.name : undefined;
}

function run(guest: Guest, call: Operation): Errno | undefined {
  switch (call.op) {
    case "write":
      return guest.write(call.path, call.text, O_WRONLY | O_CREAT | O_TRUNC);
    case "append":
      return guest.write(call.path, call.text, O_WRONLY | O_APPEND);
    case "mkdir":
      return guest.mkdir(call.path);
    case "rmdir":
      return guest.rmdir(call.path);
    case "unlink":
      return guest.unlink(call.path);
    case "symlink":
      return guest.symlink(call.target, call.path);
    case "link":
      return guest.link(call.path, call.to);
    case "rename":
      return guest.rename(call.path, call.to);
    case "exchange":
      return guest.rename(call.path, call.to, RENAME_EXCHANGE);
    default: {
      const found = guest.path(call.path);
      if (found instanceof Errno) return found;
      if (call.op === "chmod") return chmod(guest, found, call.mode);
      if (call.op === "chown") return chown(guest, found, call.uid, call.uid);
      if (call.op === "truncate") return truncate(guest, found, call.size);
      return found.dentry.inode?.setxattr("user.t", Buffer.from(call.value), 0);
    }
  }
}

/** How many calls {@link sampleCalls} gives. */
const SAMPLE_SIZE = 3000;

/** The same long series of calls for the same seed. */
export function sampleCalls(seed: number): Operation[] {
  return fc.sample(operation, { seed, numRuns: SAMPLE_SIZE });
}

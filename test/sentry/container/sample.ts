import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { Directories } from "../../../sentry/container/directories.ts";
import type { ContainerRecord } from "../../../sentry/container/record.ts";

/** Fresh state and run directories, removed after the test. */
export function temporaryDirectories(t: ExecutionContext): Directories {
  const base = mkdtempSync(join(tmpdir(), "dd-test-"));
  t.teardown(() => rmSync(base, { recursive: true, force: true, maxRetries: 10 }));
  return { root: join(base, "root"), run: join(base, "run") };
}

/** A record such as `run` makes it. */
export function sampleRecord(
  directories: Directories,
  id: string,
  name: string,
  changes: Partial<ContainerRecord> = {},
): ContainerRecord {
  return {
    version: 1,
    name,
    createdAt: Date.now(),
    imageName: "host",
    spec: {
      id,
      mode: "trusted",
      hostname: id.slice(0, 12),
      isa: "x86_64",
      rootfs: {
        store: directories.root,
        image: "host",
        layers: [],
        upper: join(directories.root, "containers", id, "upper"),
        readOnly: false,
      },
      mounts: [],
      network: { mode: "bridge", egress: "open" },
      limits: { ulimits: [] },
      runDirectory: join(directories.run, id.slice(0, 16)),
      trace: false,
    },
    process: { argv: ["sleep", "1"], env: [], cwd: "/", user: "" },
    tty: false,
    openStdin: false,
    autoRemove: false,
    labels: {},
    stopSignal: 15,
    stopTimeoutSeconds: 10,
    anonymousVolumes: [],
    ...changes,
  };
}

import { readFileSync } from "node:fs";
import { release } from "node:os";
import { directoriesOf } from "../../sentry/container/directories.ts";
import { version } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { REPORT_OPTIONS } from "../options.ts";
import { printValue } from "../output.ts";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export function main(values: Values<typeof REPORT_OPTIONS>): number {
  const { root, run } = directoriesOf(process.env);
  const report = {
    Version: version(),
    Platform: `${process.platform}/${ARCHITECTURES[process.arch] ?? process.arch}`,
    System: systemName(),
    Kernel: release(),
    Node: process.version,
    DefaultMode: process.env["DDJIT_UNTRUSTED"] === "1" ? "untrusted" : "trusted",
    Modes: ["trusted", "untrusted"],
    Root: root,
    Run: run,
  };
  printValue(report, values, () =>
    [
      `ddcli ${report.Version}`,
      ` Host:         ${report.System}, kernel ${report.Kernel}, ${report.Platform}`,
      ` Node:         ${report.Node}`,
      ` Modes:        ${report.Modes.join(", ")}; default: ${report.DefaultMode}`,
      ` State:        ${report.Root}`,
      ` Sockets:      ${report.Run}`,
    ].join("\n"),
  );
  return EXIT.ok;
}

/** The distribution's name from os-release(5). */
function systemName(): string {
  try {
    const match = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
    return match?.[1] ?? process.platform;
  } catch {
    return process.platform;
  }
}

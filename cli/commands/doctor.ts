import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { type LayerReport, missingForUntrusted, probeLayers } from "../../profiles/probe.ts";
import { directoriesOf, ensureDirectories } from "../../sentry/container/directories.ts";
import { ControlGroup } from "../../sentry/host/control-group.ts";
import { version } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { REPORT_OPTIONS } from "../options.ts";
import { printValue } from "../output.ts";
import { coloured, paint } from "../style.ts";

/** One line of the report. */
interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** Nothing depends on it but comfort or limits. */
  readonly optional: boolean;
  readonly detail: string;
  /** How to get it; empty when it is there. */
  readonly remedy: string;
}

const NATIVE = new URL("../../../Release/", import.meta.url);

/** What is needed to build dd again, and what Debian calls it. */
const TOOLS = [
  ["npm", ["npm", "--version"], "apt-get install npm"],
  ["CMake", ["cmake", "--version"], "apt-get install cmake"],
  ["C++ compiler", ["c++", "--version"], "apt-get install g++"],
] as const;

export function main(values: Values<typeof REPORT_OPTIONS>): number {
  const installation = [nodeFinding(), addonFinding(), ...TOOLS.map(toolFinding), directories()];
  const { layers, probeError } = probe();
  const missing = missingForUntrusted(layers);
  const needed = layers.filter(({ layer }) => layer.need === "always");
  const untrusted = probeError === undefined && missing.length === 0;
  const report = {
    Version: version(),
    Kernel: release(),
    Installation: installation,
    Limits: limitFindings(),
    Layers: layers.map(layerFinding),
    Trusted: probeError === undefined && needed.every(({ ok }) => ok),
    Untrusted: untrusted,
    Missing: missing.map(({ layer }) => layer.name),
  };
  printValue(report, values, () => {
    const colour = coloured(process.stdout);
    const list = (findings: readonly Finding[]) => findings.flatMap((each) => lines(each, colour));
    const why = probeError ?? `missing: ${missing.map(({ layer }) => layer.title).join(", ")}`;
    return [
      `dd ${report.Version}, kernel ${report.Kernel}`,
      "",
      paint("bold", "Installation", colour),
      ...list(installation),
      "",
      paint("bold", "Limits of containers", colour),
      ...list(report.Limits),
      "",
      paint("bold", "Confinement, each layer tried just now", colour),
      ...list(report.Layers),
      "",
      paint("bold", "Modes", colour),
      ...list([
        mode("trusted", report.Trusted, "the container's code runs as you, with no boundary"),
        mode("untrusted", untrusted, untrusted ? "every layer above is in force" : why),
      ]),
    ].join("\n");
  });
  return untrusted ? EXIT.ok : EXIT.failed;
}

function mode(name: string, ok: boolean, detail: string): Finding {
  return { name, ok, optional: false, detail, remedy: "" };
}

function probe(): { layers: readonly LayerReport[]; probeError: string | undefined } {
  try {
    const program = fileURLToPath(new URL("dd-probe", NATIVE));
    return { layers: probeLayers(program), probeError: undefined };
  } catch (error) {
    return { layers: [], probeError: (error as Error).message };
  }
}

function layerFinding({ layer, ok, errno, detail }: LayerReport): Finding {
  const reason = [detail, errno?.text ?? ""].filter((part) => part !== "").join(": ");
  return {
    name: layer.title,
    ok,
    optional: layer.need === "limits",
    detail: ok ? detail : reason,
    remedy: ok ? "" : layer.remedy,
  };
}

/** How limits of containers are held here. */
function limitFindings(): readonly Finding[] {
  const can = ControlGroup.probe();
  const remedy = "Run as root, or have systemd delegate memory, pids and cpu to your user";
  const finding = (name: string, ok: boolean, instead: string): Finding => ({
    name,
    ok,
    optional: true,
    detail: ok ? "by a control group" : instead,
    remedy: ok ? "" : remedy,
  });
  return [
    finding("memory", can.memory, "each process is limited, their sum is checked"),
    finding("processes", can.pids, "counted by the container's own kernel"),
    finding("CPU time", can.cpu, "processes are stopped while they are ahead"),
  ];
}

function nodeFinding(): Finding {
  const major = Number(process.versions.node.split(".", 1)[0]);
  const remedy = major >= 20 ? "" : "Node 20 or newer is needed: apt-get install nodejs";
  return { name: "Node", ok: major >= 20, optional: false, detail: process.version, remedy };
}

function addonFinding(): Finding {
  const ok = ["dd_ring.node", "dd-guest"].every((file) => existsSync(new URL(file, NATIVE)));
  return {
    name: "native part",
    ok,
    optional: false,
    detail: ok ? "built" : "not built",
    remedy: ok ? "" : "npm ci",
  };
}

function toolFinding([name, [program, ...args], install]: (typeof TOOLS)[number]): Finding {
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8" });
  const ok = status === 0;
  const detail = ok ? (stdout.split("\n", 1)[0] ?? "") : "only needed to build dd";
  return { name, ok, optional: true, detail, remedy: ok ? "" : install };
}

function directories(): Finding {
  const { root, run } = directoriesOf(process.env);
  try {
    ensureDirectories({ root, run });
    return {
      name: "directories",
      ok: true,
      optional: false,
      detail: `${root}, ${run}`,
      remedy: "",
    };
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return { name: "directories", ok: false, optional: false, detail: message, remedy: hint ?? "" };
  }
}

function lines({ name, ok, optional, detail, remedy }: Finding, colour: boolean): string[] {
  const word = ok ? paint("green", "ok     ", colour) : optional ? "absent " : "missing";
  const marked = ok ? word : paint(optional ? "yellow" : "red", word, colour);
  const first = `  ${marked}  ${name}${detail === "" ? "" : `: ${detail}`}`;
  return remedy === "" ? [first] : [first, `           ${remedy}`];
}

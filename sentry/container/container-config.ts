import { toText } from "../abi/bytes.ts";
import { signalName } from "../abi/signal.ts";
import type { ContainerRecord } from "./record.ts";

/** `Config` of a container in docker's words: what it was asked to be, on top of its image's own. */
export function configOf(record: ContainerRecord): Readonly<Record<string, unknown>> {
  const { spec, process, engine } = record;
  const asked = engine?.config ?? {};
  return {
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    StdinOnce: record.stdinOnce ?? false,
    OnBuild: null,
    Cmd: process.argv.map(toText),
    Entrypoint: null,
    Volumes: null,
    ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
    Hostname: toText(spec.hostname),
    Domainname: typeof asked["Domainname"] === "string" ? asked["Domainname"] : "",
    User: process.user,
    Tty: record.tty,
    OpenStdin: record.openStdin,
    Env: Array.isArray(asked["Env"]) ? asked["Env"] : process.env.map(toText),
    Image: record.imageName,
    WorkingDir: toText(process.cwd),
    Labels: record.labels,
    StopSignal: asked["StopSignal"] || signalName(record.stopSignal),
  };
}

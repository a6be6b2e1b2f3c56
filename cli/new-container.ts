import { existsSync, writeFileSync } from "node:fs";
import { hostname as hostHostname } from "node:os";
import { toText } from "../sentry/abi/bytes.ts";
import { SIGTERM } from "../sentry/abi/signal.ts";
import { ContainerError } from "../sentry/container/errors.ts";
import { hostSpec } from "../sentry/container/host-options.ts";
import { withInit } from "../sentry/container/init-program.ts";
import { checkLogOptions, logMember, logSpec } from "../sentry/container/log-options.ts";
import { resolveMounts } from "../sentry/container/mounts.ts";
import { randomId } from "../sentry/container/names.ts";
import { writeWanted } from "../sentry/container/network/container-networks.ts";
import { NetworkStore } from "../sentry/container/network/network-store.ts";
import {
  type NetworkingContext,
  newNetworking,
} from "../sentry/container/network/new-networking.ts";
import { newSpec } from "../sentry/container/new-spec.ts";
import { processConfig } from "../sentry/container/process-config.ts";
import { parseSignal } from "../sentry/container/signal-name.ts";
import type { ContainerStore, HeldContainer } from "../sentry/container/store.ts";
import type { Mode, NetworkSpec } from "../sentry/spec.ts";
import { readEnvironment } from "./environment.ts";
import { CliError, EXIT, usageError } from "./errors.ts";
import { hostOptionsOf } from "./host-options.ts";
import { parseLabels } from "./labels.ts";
import { parseLimits } from "./limits.ts";
import { parseMount, parseTmpfs, parseVolume } from "./mount-options.ts";
import { networkingRequest } from "./network-options.ts";
import type { Values } from "./option.ts";
import type { CREATE_OPTIONS } from "./options.ts";
import { findImage } from "./run-image.ts";
import { parseCount } from "./sizes.ts";

const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/;
const SHORT_ID = 12;
const STOP_TIMEOUT_SECONDS = 10;
const STOP_TIMEOUT_SECONDS_MAX = 1_000_000;

/**
 * Makes the container that the options of `run` and `create` describe, held by this process.
 * @param operands the image, and what to run in it.
 * @throws {CliError}, ContainerError or ImageError; then nothing is left behind but what was pulled, and
 *   volumes made on the way.
 */
export async function newContainer(
  store: ContainerStore,
  values: Values<typeof CREATE_OPTIONS>,
  operands: readonly string[],
): Promise<HeldContainer> {
  const [imageName = "", ...args] = operands;
  const { directories } = store;
  // Everything the user can have got wrong is found before anything is pulled or made.
  const mode: Mode =
    values.untrusted || process.env["DDJIT_UNTRUSTED"] === "1" ? "untrusted" : "trusted";
  const limits = parseLimits(values);
  const env = readEnvironment(values["env-file"], values.env, process.env);
  const labels = parseLabels(values.label);
  const requests = [
    ...values.volume.map((text) => parseVolume(text, process.cwd())),
    ...values.mount.map((text) => parseMount(text, process.cwd())),
    ...values.tmpfs.map(parseTmpfs),
  ];
  const context = networkContext(store, mode);
  const asked = networkingRequest(values, [], labels);
  const { spec: plain } = newNetworking(asked, context);
  const id = randomId();
  const hostname = hostnameOf(values.hostname, plain, id);
  checkCidfile(values.cidfile);

  const image = await findImage(imageName, directories.root, values);
  const exposed = networkingRequest(values, image.config.ExposedPorts, labels);
  const { spec: network, wanted } = newNetworking(exposed, context);
  const warnings: string[] = [];
  const special = hostSpec(hostOptionsOf(values), { mode, network }, warnings);
  for (const warning of warnings) process.stderr.write(`WARNING: ${warning}\n`);
  const groupAdd = values["group-add"];
  const stopSignal = signalOf(values["stop-signal"] ?? image.config.StopSignal);
  const { tty, user, workdir, entrypoint } = values;
  const choice = { args, entrypoint, env, workdir, user, tty, hostname };
  const command = processConfig(image.config, choice);
  const init = values.init ? withInit(command, image.isa) : undefined;
  const { mounts, anonymousVolumes } = resolveMounts(
    requests,
    image.config.Volumes,
    mode,
    directories,
  );
  const stopTimeout = values["stop-timeout"];
  const logDriver = values["log-driver"] ?? "json-file";
  const logOptions = parseLabels(values["log-opt"]);
  checkLogOptions(logDriver, logOptions);
  const held = store.create(id, values.name, (name) => ({
    version: 1,
    name,
    createdAt: Date.now(),
    imageName,
    spec: newSpec(store, id, image, {
      mode,
      hostname,
      readOnly: values["read-only"],
      mounts: init === undefined ? mounts : [...mounts, init.mount],
      network,
      limits,
      ...special,
    }),
    process: { ...(init?.process ?? command), ...(groupAdd.length === 0 ? {} : { groupAdd }) },
    tty,
    openStdin: values.interactive,
    autoRemove: values.rm,
    labels: { ...image.config.Labels, ...labels },
    ...logMember(
      logSpec(logDriver, logOptions, {
        labels: { ...image.config.Labels, ...labels },
        env: command.env.map(toText),
        id,
        name,
        imageName,
      }),
    ),
    stopSignal,
    stopTimeoutSeconds:
      stopTimeout === undefined
        ? STOP_TIMEOUT_SECONDS
        : parseCount(stopTimeout, "--stop-timeout", -1, STOP_TIMEOUT_SECONDS_MAX),
    anonymousVolumes,
  }));
  writeWanted(held.directory, wanted);
  if (values.cidfile !== undefined) writeFileSync(values.cidfile, id, { flag: "wx" });
  return held;
}

/** What of the user's networks and containers a new container's network refers to. */
function networkContext(store: ContainerStore, mode: Mode): NetworkingContext {
  const networks = new NetworkStore(store.directories);
  return {
    mode,
    findNetwork: (reference) => {
      try {
        return networks.find(reference);
      } catch (error) {
        // It may be made before the container starts.
        if (error instanceof ContainerError && error.code === "NO_SUCH_NETWORK") return undefined;
        throw error;
      }
    },
    findContainer: (reference) => store.find(reference),
  };
}

function hostnameOf(wanted: string | undefined, network: NetworkSpec, id: string): string {
  if (wanted === undefined) return network.mode === "host" ? hostHostname() : id.slice(0, SHORT_ID);
  if (!HOSTNAME.test(wanted)) throw usageError(`invalid hostname format: ${wanted}`);
  return wanted;
}

function signalOf(text: string | undefined): number {
  const signo = text === undefined ? SIGTERM : parseSignal(text);
  if (signo === undefined) throw usageError(`invalid signal: ${text}`, "Example: TERM, SIGINT, 9");
  return signo;
}

function checkCidfile(path: string | undefined): void {
  if (path === undefined || !existsSync(path)) return;
  throw new CliError(
    "CIDFILE_EXISTS",
    `container ID file found, make sure the other container isn't running or delete ${path}`,
    { exitCode: EXIT.dd },
  );
}

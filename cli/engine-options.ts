/** Options of the commands about the daemon and docker's clients. */
import type { OptionRow } from "./option.ts";
import { REPORT_OPTIONS } from "./options.ts";

type Rows = readonly OptionRow[];

const SOCKET = {
  name: "socket",
  value: "PATH",
  complete: "file",
  help: "Listen there instead of docker.sock in the run directory",
} as const;

const REGISTRIES = [
  {
    name: "insecure-registry",
    value: "HOST",
    repeat: true,
    help: "Also use plain http or an unknown certificate with this registry, or network",
  },
  {
    name: "registry-mirror",
    value: "URL",
    repeat: true,
    help: "Ask this address before docker's hub",
  },
] as const;

export const DAEMON_RUN_OPTIONS = [
  SOCKET,
  ...REGISTRIES,
  {
    name: "tcp",
    value: "PORT",
    help: "Also listen on 127.0.0.1:PORT, for who sends the token of daemon.token in the run directory",
  },
  {
    name: "log-level",
    value: "LEVEL",
    help: "debug, info (the default), warn or error",
  },
] as const satisfies Rows;

export const DAEMON_START_OPTIONS = [SOCKET, ...REGISTRIES] as const satisfies Rows;

export const DAEMON_STOP_OPTIONS = [] as const satisfies Rows;

export const DAEMON_STATUS_OPTIONS = REPORT_OPTIONS;

export const UI_OPTIONS = [
  { ...SOCKET, help: "Ask the daemon that listens there" },
  { name: "no-open", help: "Print the link only, start no browser" },
] as const satisfies Rows;

export const CONTEXT_INSTALL_OPTIONS = [
  SOCKET,
  { name: "no-use", help: "Do not make it the context docker uses by default" },
] as const satisfies Rows;

export const CONTEXT_UNINSTALL_OPTIONS = [] as const satisfies Rows;

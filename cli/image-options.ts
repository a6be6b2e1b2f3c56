/** Options of the commands about images and registries. */
import type { OptionRow } from "./option.ts";
import { FORMAT, LISTING, PLATFORM } from "./options.ts";

type Rows = readonly OptionRow[];

const INSECURE = {
  name: "insecure",
  help: "Also use plain http or an unknown certificate with this registry",
} as const satisfies OptionRow;

export const PULL_OPTIONS = [
  PLATFORM,
  { name: "all-tags", short: "a", help: "Fetch every tag of the repository" },
  { name: "quiet", short: "q", help: "Print only the image's name" },
  INSECURE,
] as const satisfies Rows;

export const IMAGES_OPTIONS = [
  ...LISTING,
  { name: "all", short: "a", help: "Also the steps of builds" },
  { name: "digests", help: "Also show the digests" },
] as const satisfies Rows;

export const RMI_OPTIONS = [
  { name: "force", short: "f", help: "Also remove an image that a stopped container was made of" },
  { name: "no-prune", help: "Leave parents without a name" },
] as const satisfies Rows;

export const BUILD_OPTIONS = [
  { name: "tag", short: "t", value: "NAME[:TAG]", repeat: true, help: "Give the image this name" },
  {
    name: "file",
    short: "f",
    value: "FILE",
    complete: "file",
    help: "Read the Dockerfile from FILE; - is standard input",
  },
  {
    name: "build-arg",
    value: "NAME[=VALUE]",
    repeat: true,
    help: "Set an ARG of the Dockerfile; without =VALUE it is passed on from here",
  },
  { name: "target", value: "STAGE", help: "Build this stage, and what it needs" },
  { name: "label", value: "KEY=VALUE", repeat: true, help: "Attach a label to the image" },
  { name: "no-cache", help: "Do every step again" },
  { name: "no-cache-filter", value: "STAGE", repeat: true, help: "Do the steps of a stage again" },
  { name: "pull", help: "Ask registries for newer base images" },
  PLATFORM,
  {
    name: "secret",
    value: "id=ID[,src=FILE|,env=NAME]",
    repeat: true,
    help: "Let RUN --mount=type=secret have a file or a variable",
  },
  {
    name: "ssh",
    value: "ID[=SOCKET]",
    repeat: true,
    help: "Let RUN --mount=type=ssh have an agent; default is that of SSH_AUTH_SOCK",
  },
  {
    name: "build-context",
    value: "NAME=DIR|IMAGE",
    repeat: true,
    help: "Give COPY --from and FROM another directory, URL or docker-image://IMAGE",
  },
  {
    name: "output",
    short: "o",
    value: "DEST",
    help: "Write files instead of an image: a directory, - for a tar, or type=local|tar,dest=PATH",
  },
  {
    name: "network",
    value: "MODE",
    help: "Network of RUN: default, none, host, container:NAME or NAME",
  },
  {
    name: "add-host",
    value: "NAME:ADDRESS",
    repeat: true,
    help: "Add a line to /etc/hosts of RUN",
  },
  { name: "iidfile", value: "FILE", help: "Write the image's id to FILE" },
  {
    name: "progress",
    value: "KIND",
    choices: ["auto", "plain", "tty", "quiet"],
    help: "How to show progress, on standard error",
  },
  { name: "quiet", short: "q", help: "Print only the image's id" },
  {
    name: "untrusted",
    help: "Run the steps as untrusted code: they reach nothing of this machine",
  },
] as const satisfies Rows;

export const LOAD_OPTIONS = [
  {
    name: "input",
    short: "i",
    value: "FILE",
    complete: "file",
    help: "Read the archive from FILE instead of standard input",
  },
  { name: "quiet", short: "q", help: "Print only the images' names" },
  PLATFORM,
] as const satisfies Rows;

export const IMPORT_OPTIONS = [
  {
    name: "change",
    short: "c",
    value: "INSTRUCTION",
    repeat: true,
    help: "Set part of the image's configuration: CMD, ENTRYPOINT, ENV, USER, WORKDIR, LABEL",
  },
  { name: "message", short: "m", value: "TEXT", help: "Comment of the image" },
  PLATFORM,
] as const satisfies Rows;

export const COMMIT_OPTIONS = [
  { name: "author", short: "a", value: "NAME", help: "Who has made it" },
  {
    name: "change",
    short: "c",
    value: "INSTRUCTION",
    repeat: true,
    help: "Set part of the image's configuration: CMD, ENTRYPOINT, ENV, LABEL, USER, WORKDIR and others",
  },
  { name: "message", short: "m", value: "TEXT", help: "Comment of the image" },
  { name: "no-pause", help: "Let the container run on meanwhile" },
] as const satisfies Rows;

export const PUSH_OPTIONS = [
  { name: "all-tags", short: "a", help: "Send every tag of the repository" },
  { name: "quiet", short: "q", help: "Print only the image's name" },
  INSECURE,
] as const satisfies Rows;

export const SAVE_OPTIONS = [
  {
    name: "output",
    short: "o",
    value: "FILE",
    complete: "file",
    help: "Write to FILE instead of standard output",
  },
  PLATFORM,
] as const satisfies Rows;

export const TAG_OPTIONS = [] as const satisfies Rows;

export const HISTORY_OPTIONS = [
  { name: "quiet", short: "q", help: "Print only ids" },
  { name: "no-trunc", help: "Do not shorten ids and commands" },
  ...FORMAT,
] as const satisfies Rows;

export const IMAGE_PRUNE_OPTIONS = [
  { name: "all", short: "a", help: "Also images with a name, unless a container has them" },
  { name: "force", short: "f", help: "Do not ask" },
  {
    name: "filter",
    value: "KEY=VALUE",
    repeat: true,
    help: "Only what matches: until, label, label!",
  },
] as const satisfies Rows;

export const LOGIN_OPTIONS = [
  { name: "username", short: "u", value: "NAME", help: "The user at the registry" },
  { name: "password", short: "p", value: "WORD", help: "The password; others can see it in ps" },
  { name: "password-stdin", help: "Read the password from standard input" },
  INSECURE,
] as const satisfies Rows;

export const LOGOUT_OPTIONS = [] as const satisfies Rows;

export const SEARCH_OPTIONS = [
  { name: "limit", value: "N", help: "How many at most: 25 unless said" },
  { name: "no-trunc", help: "Do not shorten descriptions" },
  ...FORMAT,
] as const satisfies Rows;

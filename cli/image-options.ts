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

import { ImageError } from "./errors.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";

/** Filters by key, each with its values, as the Engine API has them. */
export type ImageFilters = Readonly<Record<string, readonly string[]>>;

type Test = (image: StoredImage) => boolean;
type MakeTest = (values: readonly string[], store: ImageStore) => Promise<Test> | Test;

/** What an image must be, for each key. Values of one key are alternatives, but for labels. */
const LIST_FILTERS: Readonly<Record<string, MakeTest>> = {
  dangling: (values) => {
    const wanted = truth("dangling", values);
    return ({ tags, digests }) =>
      wanted ? tags.length === 0 : tags.length > 0 || digests.length > 0;
  },
  label: (values) => (image) => values.every((value) => hasLabel(image, value)),
  "label!": (values) => (image) => !values.some((value) => hasLabel(image, value)),
  before: async (values, store) => {
    const limit = Math.min(...(await Promise.all(values.map((name) => createdOf(store, name)))));
    return (image) => created(image) < limit;
  },
  since: async (values, store) => {
    const limit = Math.max(...(await Promise.all(values.map((name) => createdOf(store, name)))));
    return (image) => created(image) > limit;
  },
  until: (values) => {
    const limit = Math.min(...values.map(timeOf));
    return (image) => created(image) < limit;
  },
  reference: (values) => (image) =>
    [...image.tags, ...image.digests].some((name) => matchesReference(name, values)),
};

const PRUNE_KEYS = new Set(["label", "label!", "until"]);

/**
 * The images that all filters let pass, newest first. Of an image that is called by several names, only those
 * names stay that the filter `reference` means.
 * @throws {ImageError} FILTER_INVALID for a key or a value that is none
 */
export async function listImages(
  store: ImageStore,
  filters: ImageFilters = {},
  options: { readonly all?: boolean } = {},
): Promise<StoredImage[]> {
  const tests = await testsOf(store, filters, (key) => key !== "label!");
  const images = await store.list();
  const parents = new Set(images.map(({ parent }) => parent));
  const patterns = filters["reference"];
  const meant = (name: string): boolean =>
    patterns === undefined || matchesReference(name, patterns);
  return images
    .filter((image) => options.all === true || !isIntermediate(image, parents))
    .filter((image) => tests.every((test) => test(image)))
    .map((image) => ({
      ...image,
      tags: image.tags.filter(meant),
      digests: image.digests.filter(meant),
    }))
    .sort((a, b) => created(b) - created(a) || (a.id < b.id ? -1 : 1));
}

/**
 * The images that pruning may look at, and whether only those without a tag are to go.
 * @throws {ImageError} FILTER_INVALID
 */
export async function prunable(
  store: ImageStore,
  { dangling = [], ...filters }: ImageFilters,
): Promise<{ readonly images: readonly StoredImage[]; readonly danglingOnly: boolean }> {
  const danglingOnly = dangling.length === 0 || truth("dangling", dangling);
  const tests = await testsOf(store, filters, (key) => PRUNE_KEYS.has(key));
  const images = await store.list();
  const parents = new Set(images.map(({ parent }) => parent));
  const looked = images
    .filter((image) => !isIntermediate(image, parents))
    .filter((image) => tests.every((test) => test(image)));
  return { images: looked, danglingOnly };
}

async function testsOf(
  store: ImageStore,
  filters: ImageFilters,
  known: (key: string) => boolean,
): Promise<Test[]> {
  const tests: Test[] = [];
  for (const [key, values] of Object.entries(filters)) {
    const make = Object.hasOwn(LIST_FILTERS, key) && known(key) ? LIST_FILTERS[key] : undefined;
    if (make === undefined) throw new ImageError("FILTER_INVALID", `invalid filter '${key}'`);
    if (values.length > 0) tests.push(await make(values, store));
  }
  return tests;
}

/** A step of a build that others stand on and that has no name. */
function isIntermediate(image: StoredImage, parents: ReadonlySet<unknown>): boolean {
  return image.tags.length === 0 && image.digests.length === 0 && parents.has(image.id);
}

/** Go's words for booleans, as far as docker takes them here. */
export function truth(key: string, values: readonly string[]): boolean {
  const truths = new Set(values.map((value) => TRUTHS.get(value)));
  const [only] = truths;
  if (truths.size === 1 && only !== undefined) return only;
  throw new ImageError("FILTER_INVALID", `invalid filter '${key}=[${values.join(" ")}]'`);
}

const TRUTHS: ReadonlyMap<string, boolean> = new Map([
  ["1", true],
  ["true", true],
  ["True", true],
  ["0", false],
  ["false", false],
  ["False", false],
]);

function hasLabel({ config }: StoredImage, wanted: string): boolean {
  const { Labels: labels } = config.config;
  const equals = wanted.indexOf("=");
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  if (!Object.hasOwn(labels, key)) return false;
  return equals < 0 || labels[key] === wanted.slice(equals + 1);
}

/** Milliseconds since the epoch; images that do not say are as old as can be. */
function created({ config }: StoredImage): number {
  const time = config.created === undefined ? Number.NaN : Date.parse(config.created);
  return Number.isNaN(time) ? 0 : time;
}

async function createdOf(store: ImageStore, name: string): Promise<number> {
  return created(await store.get(name));
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A point in time: seconds since the epoch, RFC 3339 or a part of it, or a duration before now. */
function timeOf(text: string): number {
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text) * 1000;
  const duration = /^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$/.test(text);
  if (duration) {
    let total = 0;
    for (const [, count, unit = ""] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g)) {
      total += Number(count) * (UNITS[unit] ?? 0);
    }
    return Date.now() - total;
  }
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw new ImageError("FILTER_INVALID", `invalid filter 'until=[${text}]'`);
}

/**
 * Whether one of the patterns means the name: all of it, or without tag and digest. Patterns are those of Go's
 * path.Match: `*` and `?` stand for anything but a slash.
 */
export function matchesReference(name: string, patterns: readonly string[]): boolean {
  const repository = name.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  return patterns.some((pattern) => {
    const expression = globExpression(pattern);
    return expression.test(name) || expression.test(repository);
  });
}

function globExpression(pattern: string): RegExp {
  const source = pattern.replace(/\\(.)|\[(\^?)([^\]]*)\]|[\s\S]/g, (char, escaped, not, set) => {
    if (escaped !== undefined) return quoteExpression(escaped);
    if (set !== undefined) return `[${not}${set.replace(/[\\\]^[]/g, "\\$&")}]`;
    if (char === "*") return "[^/]*";
    return char === "?" ? "[^/]" : quoteExpression(char);
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    throw new ImageError("FILTER_INVALID", `invalid filter 'reference=[${pattern}]'`);
  }
}

function quoteExpression(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

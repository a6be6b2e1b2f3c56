import { type Digest, isDigest } from "./digest.ts";
import { ImageError } from "./errors.ts";

/** The name of an image, complete: `docker.io`, `library/debian`, and a tag or a digest or both. */
export interface Reference {
  /** The registry: a host name and perhaps a port. */
  readonly domain: string;
  /** The repository in it. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";
export const DEFAULT_TAG = "latest";

// The grammar of distribution/reference, which is docker's.
const DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const PATH_COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const PATH = new RegExp(`^${PATH_COMPONENT}(?:/${PATH_COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const IDENTIFIER = /^[a-f0-9]{64}$/;
const NAME_LENGTH_MAX = 255;
/** Longer than any name with a tag and a digest: what is longer is not even looked at. */
const TEXT_LENGTH_MAX = 1024;

/**
 * The image that people mean by `text`: `debian` is `docker.io/library/debian`, `localhost:5000/x`
 * is `x` at that registry. No tag is added: see {@link withDefaultTag}.
 * @throws {ImageError} REFERENCE_INVALID, in docker's words
 */
export function parseReference(text: string): Reference {
  if (text === "" || text.length > TEXT_LENGTH_MAX) throw new ImageError("REFERENCE_INVALID");
  if (IDENTIFIER.test(text)) {
    throw new ImageError(
      "REFERENCE_INVALID",
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const tag = tagged ? named.slice(colon + 1) : undefined;
  const { domain, path } = splitDomain(tagged ? named.slice(0, colon) : named);

  if (path.toLowerCase() !== path && PATH.test(path.toLowerCase())) {
    throw new ImageError("REFERENCE_INVALID", `repository name (${path}) must be lowercase`);
  }
  if (!DOMAIN.test(domain) || !PATH.test(path)) throw new ImageError("REFERENCE_INVALID");
  if (domain.length + 1 + path.length > NAME_LENGTH_MAX) {
    throw new ImageError(
      "REFERENCE_INVALID",
      `repository name must not be more than ${NAME_LENGTH_MAX} characters`,
    );
  }
  if (tag !== undefined && !TAG.test(tag)) throw new ImageError("REFERENCE_INVALID");
  if (digest !== undefined && !isDigest(digest)) throw new ImageError("REFERENCE_INVALID");
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Which part of a name is a registry: one with a dot, a colon or capitals in it, or `localhost`. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  const isDomain = /[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first;
  const domain = isDomain ? first : DEFAULT_DOMAIN;
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain !== DEFAULT_DOMAIN && domain !== LEGACY_DOMAIN) return { domain, path };
  return { domain: DEFAULT_DOMAIN, path: path.includes("/") ? path : `${OFFICIAL}${path}` };
}

/** `reference`, with the tag `latest` where it has neither a tag nor a digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: DEFAULT_TAG };
}

/** The complete spelling, by which the store knows a name: `docker.io/library/debian:bookworm`. */
export function canonicalName(reference: Reference): string {
  const { domain, path } = reference;
  return `${domain}/${path}${suffix(reference)}`;
}

/** The spelling for people: `debian:bookworm`. */
export function familiarName(reference: Reference): string {
  return `${familiarRepository(reference)}${suffix(reference)}`;
}

/** The familiar spelling without tag and digest: `debian`. */
export function familiarRepository({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  return path.startsWith(OFFICIAL) && !path.slice(OFFICIAL.length).includes("/")
    ? path.slice(OFFICIAL.length)
    : path;
}

/** The same repository's image with digest `digest`, whatever the tag. */
export function byDigest({ domain, path }: Reference, digest: Digest): Reference {
  return { domain, path, digest };
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

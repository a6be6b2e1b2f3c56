import type { Isa } from "../abi/numbers.ts";
import { ImageError } from "./errors.ts";

/** What an image was made for, in Go's words, as manifests have it. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const ALIASES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
};
/** The instruction sets that guests can have. */
const ARCHITECTURES = new Set(["amd64", "arm64"]);
const PART = /^[A-Za-z0-9_.-]{1,32}$/;
const ARM64_DEFAULT_VARIANT = "v8";
/** What an architecture is where no variant is said. */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = {
  arm64: ARM64_DEFAULT_VARIANT,
  arm: "v7",
};

/** Linux on the host's instruction set. */
export function hostPlatform(): Platform {
  return normalise("linux", process.arch === "x64" ? "amd64" : process.arch);
}

const ISAS: Readonly<Record<string, Isa>> = { amd64: "x86_64", arm64: "arm64" };
/** What each host runs: its own programs as they are, others translated. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  amd64: ["amd64", "arm64"],
  arm64: ["arm64"],
};

/** The platforms whose programs run here, the host's own first. */
export function runnablePlatforms(): readonly Platform[] {
  const { architecture } = hostPlatform();
  return (RUNS[architecture] ?? []).map((each) => normalise("linux", each));
}

/** The instruction set of a platform's programs, or undefined where they do not run here. */
export function isaOf(platform: Platform): Isa | undefined {
  const runs = runnablePlatforms().some((each) => each.architecture === platform.architecture);
  return runs && platform.os === "linux" ? ISAS[platform.architecture] : undefined;
}

/**
 * A platform as people write it: `linux/arm64`, `linux/arm64/v8`, or only `arm64`.
 * @throws {ImageError} PLATFORM_INVALID
 */
export function parsePlatform(text: string): Platform {
  const platform = parseAnyPlatform(text);
  if (platform.os !== "linux" || !ARCHITECTURES.has(platform.architecture)) throw invalid(text);
  return platform;
}

/**
 * As {@link parsePlatform}, also where nothing here runs programs of it: images can be made for any platform.
 * @throws {ImageError} PLATFORM_INVALID
 */
export function parseAnyPlatform(text: string): Platform {
  const parts = text.split("/");
  const [first = "", second, variant] = parts;
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) throw invalid(text);
  const lower = first.toLowerCase();
  return second === undefined
    ? normalise("linux", lower === "linux" ? hostPlatform().architecture : lower)
    : normalise(lower, second.toLowerCase(), variant?.toLowerCase());
}

function invalid(text: string): ImageError {
  return new ImageError(
    "PLATFORM_INVALID",
    `${JSON.stringify(text)} is not linux/amd64 or linux/arm64`,
  );
}

/** One spelling of each platform; arm64 without a variant is v8. */
export function normalise(os: string, architecture: string, variant?: string): Platform {
  const known = ALIASES[architecture] ?? architecture;
  const kept = variant || DEFAULT_VARIANTS[known];
  return { os, architecture: known, ...(kept === undefined ? {} : { variant: kept }) };
}

/** Whether an image made for `offered` is what `wanted` asks for. */
export function matches(wanted: Platform, offered: Platform): boolean {
  return (
    wanted.os === offered.os &&
    wanted.architecture === offered.architecture &&
    (wanted.variant === undefined || wanted.variant === offered.variant)
  );
}

/** A platform in as few words as say it: `linux/arm64` has but one variant. */
export function shortPlatformName({ os, architecture, variant }: Platform): string {
  const isPlain = architecture === "arm64" && variant === ARM64_DEFAULT_VARIANT;
  return platformName({ os, architecture, ...(isPlain || !variant ? {} : { variant }) });
}

export function platformName({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

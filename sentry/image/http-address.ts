import { ImageError } from "./errors.ts";

/** @throws {ImageError} REGISTRY_PROTOCOL */
export function parseUrl(text: string, base?: URL): URL {
  try {
    return new URL(text, base);
  } catch {
    throw new ImageError(
      "REGISTRY_PROTOCOL",
      `${JSON.stringify(text.slice(0, 120))} is no address`,
    );
  }
}

/** Whether a host name means this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/.test(hostname)
  );
}

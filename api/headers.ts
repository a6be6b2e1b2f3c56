import { API_VERSION, ENGINE_VERSION } from "./version.ts";

/** What every reply carries. */
export function commonHeaders(): Readonly<Record<string, string>> {
  return {
    "Api-Version": API_VERSION,
    "Docker-Experimental": "false",
    Ostype: "linux",
    Server: `Docker/${ENGINE_VERSION} (linux)`,
  };
}

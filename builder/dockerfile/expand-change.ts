import { expand } from "./expand.ts";

/** The words are still to be taken apart. */
const AS_WRITTEN = { escapeToken: "\\", rawQuotes: true, rawEscapes: true } as const;

/**
 * The words of an instruction given to `docker commit --change`, with the variables of an environment replaced.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function expandChange(text: string, env: readonly string[]): string {
  const variables = env.map((each): [string, string] => {
    const [name = ""] = each.split("=", 1);
    return [name, each.slice(name.length + 1)];
  });
  return expand(text, new Map(variables), AS_WRITTEN);
}

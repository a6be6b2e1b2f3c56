/** A path without `.`, `..` and needless slashes, as Go's `path.Clean`: by its text alone. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.length > 0 && names.at(-1) !== "..") names.pop();
    else if (!rooted) names.push("..");
  }
  const joined = names.join("/");
  return rooted ? `/${joined}` : joined === "" ? "." : joined;
}

/** `path` below `base` unless it is absolute; cleaned. */
export function joinPath(base: string, path: string): string {
  return cleanPath(path.startsWith("/") ? path : `${base}/${path}`);
}

/** The names of a path below the root; `..` at the root is the root. */
export function pathNames(path: string): readonly string[] {
  return cleanPath(`/${path}`)
    .split("/")
    .filter((name) => name !== "");
}

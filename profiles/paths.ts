import type { ByteString } from "../sentry/abi/bytes.ts";
import type { Access, PathParameter, Profile } from "./model.ts";

/** The host paths that stand for each parameter of a profile; an absent one stands for none. */
export type PathValues = Partial<Readonly<Record<PathParameter, readonly ByteString[]>>>;

/** A host path that a profile opens, and what for. */
export interface GrantedPath {
  readonly rule: string;
  readonly parameter: PathParameter;
  /** Which of the parameter's values it is. */
  readonly index: number;
  readonly path: ByteString;
  readonly access: readonly Access[];
}

/** No container mounts more host directories. */
const PATHS_MAX = 256;
const PATH_LENGTH_MAX = 4095;

/** A path was given for a profile that could mean something else than it says. */
export class PathRefused extends Error {
  readonly code = "DD_PROFILE_PATH_REFUSED";
}

/**
 * The paths of a profile with their values put in. A path must be absolute and canonical: both hosts
 * compare with what the kernel resolved, so a path with `..`, or through a symbolic link, would be
 * silently dead or mean another place. The caller resolves links; the rest is checked here.
 * @throws PathRefused
 */
export function grantedPaths(profile: Profile, values: PathValues): readonly GrantedPath[] {
  const granted = profile.rules.flatMap((rule) =>
    (rule.paths ?? []).flatMap(({ parameter, access }) =>
      (values[parameter] ?? []).map((path, index) => {
        checkPath(path);
        return { rule: rule.name, parameter, index, path, access };
      }),
    ),
  );
  if (granted.length > PATHS_MAX) throw new PathRefused(`More than ${PATHS_MAX} paths`);
  return granted;
}

function checkPath(path: ByteString): void {
  const refuse = (why: string): never => {
    throw new PathRefused(`The path ${JSON.stringify(path.slice(0, 256))} ${why}`);
  };
  if (!path.startsWith("/")) refuse("is not absolute");
  if (path.length > PATH_LENGTH_MAX) refuse("is too long");
  if (path.includes("\0")) refuse("contains NUL");
  if (path === "/") refuse("would open everything");
  const components = path.slice(1).split("/");
  if (components.some((name) => name === "" || name === "." || name === "..")) {
    refuse("is not canonical");
  }
}

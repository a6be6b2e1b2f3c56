import type { StoredImage } from "../../sentry/image/image-store.ts";
import type { DaemonContext } from "../context.ts";

type Images = Pick<DaemonContext["images"], "find" | "list">;

/**
 * The ids of the image called `name` and of all that were made from it, for the filter `ancestor`; undefined where
 * there is no such image.
 */
export async function familyOf(
  images: Images,
  name: string,
): Promise<ReadonlySet<string> | undefined> {
  const first = await images.find(name);
  if (first === undefined) return undefined;
  const family = new Set<string>([first.id]);
  const others = (await images.list()).filter(({ parent }) => parent !== undefined);
  for (let known = 0; known < family.size; ) {
    known = family.size;
    for (const { id, parent } of others) if (family.has(parent ?? "")) family.add(id);
  }
  return family;
}

/**
 * What containers are shown to be of: the image's name as long as it is this image's, else its id.
 * @returns a function that remembers what it has looked up.
 */
export function imageNames(images: Images): (name: string, id: string) => Promise<string> {
  const found = new Map<string, Promise<StoredImage | undefined>>();
  return async (name, id) => {
    const image = found.get(name) ?? images.find(name);
    found.set(name, image);
    const now = (await image)?.id;
    return now === id || !id.startsWith("sha256:") ? name : id;
  };
}

import { chainIds } from "./chain-id.ts";
import { type Digest, hexOf } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { familiarName, parseReference } from "./reference.ts";

/** A container, as far as its image is concerned. */
export interface ImageUser {
  /** Its id. */
  readonly id: string;
  readonly image: string;
  readonly running: boolean;
}

/** An image, as far as its removal is concerned. */
export interface RemovableImage {
  readonly diffIds: readonly Digest[];
  readonly parent: Digest | undefined;
}

export interface RemovalRequest {
  readonly id: Digest;
  /** The canonical name it was called by; undefined where its id was given. */
  readonly name: string | undefined;
  /** As it was called, for the words of a refusal. */
  readonly called: string;
  /** Also when a stopped container has it, or when names of several repositories mean it. */
  readonly force: boolean;
  /** Whether parents without a name and without another child go too. */
  readonly prune: boolean;
}

/** One line of what `docker rmi` says. */
export type RemovalRecord = { readonly untagged: string } | { readonly deleted: Digest };

export interface Removal {
  /** In the order in which it happened; layers are called by their chain ids. */
  readonly records: readonly RemovalRecord[];
  /** The images among them, with which their configs go. */
  readonly images: readonly Digest[];
}

const SHORT_ID = 12;

/**
 * Decides what a removal takes away, by docker's rules, and takes the names out of `references`.
 * @param references all names; those that go are deleted
 * @param images all images
 * @throws {ImageError} IMAGE_CONFLICT in docker's words; then `references` may not be used
 */
export function planRemoval(
  request: RemovalRequest,
  references: Map<string, Digest>,
  images: ReadonlyMap<Digest, RemovableImage>,
  users: readonly ImageUser[],
): Removal {
  const plan = new Plan(references, new Map(images), users);
  plan.remove(request);
  return plan;
}

interface Conflict {
  readonly hard: boolean;
  /** A container is the reason. */
  readonly used: boolean;
  readonly message: string;
}

class Plan implements Removal {
  readonly records: RemovalRecord[] = [];
  readonly images: Digest[] = [];
  readonly #references: Map<string, Digest>;
  readonly #images: Map<Digest, RemovableImage>;
  readonly #users: readonly ImageUser[];

  constructor(
    references: Map<string, Digest>,
    images: Map<Digest, RemovableImage>,
    users: readonly ImageUser[],
  ) {
    this.#references = references;
    this.#images = images;
    this.#users = users;
  }

  remove({ id, name, called, force, prune }: RemovalRequest): void {
    const names = this.#namesOf(id);
    if (name !== undefined) {
      if (!force && isSingle(names)) this.#refuseLastName(id, called);
      this.#untag(name);
      const repository = repositoryOf(name);
      const left = this.#namesOf(id).filter((each) => repositoryOf(each) === repository);
      // Without a tag of the repository its digests say nothing to anybody.
      if (!isByDigest(name) && left.every(isByDigest)) for (const each of left) this.#untag(each);
      if (this.#namesOf(id).length > 0) return;
      this.#delete(id, { force, prune, quiet: true });
      return;
    }
    if (isSingle(names)) {
      const conflict = this.#conflict(id, { soft: !force, names: false });
      if (conflict !== undefined) throw conflictError(id, conflict);
      for (const each of names) this.#untag(each);
    }
    this.#delete(id, { force, prune, quiet: false });
  }

  /** @param quiet whether a conflict is only the end of it: the names were what it was about */
  #delete(id: Digest, options: { force: boolean; prune: boolean; quiet: boolean }): void {
    const image = this.#images.get(id);
    if (image === undefined) return;
    const conflict = this.#conflict(id, { soft: !options.force, names: true });
    if (conflict !== undefined) {
      const dangling = this.#namesOf(id).length === 0 && !this.#hasChildren(id);
      if (options.quiet && (!dangling || conflict.used)) return;
      throw conflictError(id, conflict);
    }
    for (const name of this.#namesOf(id)) this.#untag(name);
    this.#images.delete(id);
    this.images.push(id);
    this.records.push({ deleted: id });
    const kept = new Set([...this.#images.values()].flatMap((each) => chainIds(each.diffIds)));
    for (const chainId of chainIds(image.diffIds).reverse()) {
      if (!kept.has(chainId)) this.records.push({ deleted: chainId });
    }
    if (options.prune && image.parent !== undefined) {
      this.#delete(image.parent, { force: false, prune: true, quiet: true });
    }
  }

  /** The first reason against a removal; some do not count when it is forced. */
  #conflict(id: Digest, count: { soft: boolean; names: boolean }): Conflict | undefined {
    if (this.#hasChildren(id)) {
      return { hard: true, used: false, message: "image has dependent child images" };
    }
    const users = this.#users.filter(({ image }) => image === id);
    const running = users.find((user) => user.running);
    if (running !== undefined) {
      const message = `image is being used by running container ${shortId(running.id)}`;
      return { hard: true, used: true, message };
    }
    if (!count.soft) return undefined;
    if (count.names && this.#namesOf(id).length > 0) {
      const message = "image is referenced in multiple repositories";
      return { hard: false, used: false, message };
    }
    const [stopped] = users;
    if (stopped === undefined) return undefined;
    const message = `image is being used by stopped container ${shortId(stopped.id)}`;
    return { hard: false, used: true, message };
  }

  /** Without its last name an image that a container has would be hard to find again. */
  #refuseLastName(id: Digest, called: string): void {
    const user = this.#users.find(({ image }) => image === id);
    if (user === undefined) return;
    throw new ImageError(
      "IMAGE_CONFLICT",
      `unable to remove repository reference ${JSON.stringify(called)} (must force) - ` +
        `container ${shortId(user.id)} is using its referenced image ${shortId(hexOf(id))}`,
    );
  }

  #untag(name: string): void {
    this.#references.delete(name);
    this.records.push({ untagged: familiar(name) });
  }

  #namesOf(id: Digest): string[] {
    return [...this.#references].filter(([, image]) => image === id).map(([name]) => name);
  }

  #hasChildren(id: Digest): boolean {
    return [...this.#images.values()].some(({ parent }) => parent === id);
  }
}

/** Whether the names are one, or one tag and the digests of the same repository. */
function isSingle(names: readonly string[]): boolean {
  if (names.length <= 1) return true;
  const tags = names.filter((name) => !isByDigest(name));
  const repositories = new Set(names.filter(isByDigest).map(repositoryOf));
  const [single = names[0] ?? ""] = tags;
  return tags.length <= 1 && repositories.size === 1 && repositories.has(repositoryOf(single));
}

function isByDigest(name: string): boolean {
  return name.includes("@");
}

function repositoryOf(canonical: string): string {
  const { domain, path } = parseReference(canonical);
  return `${domain}/${path}`;
}

function familiar(canonical: string): string {
  return familiarName(parseReference(canonical));
}

function shortId(id: string): string {
  return id.slice(0, SHORT_ID);
}

function conflictError(id: Digest, { hard, message }: Conflict): ImageError {
  const force = hard ? "cannot be forced" : "must be forced";
  return new ImageError(
    "IMAGE_CONFLICT",
    `unable to delete ${shortId(hexOf(id))} (${force}) - ${message}`,
  );
}

/** Store files: what is in one, how it is kept, and when it is refused. */
import { createCipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** `StoredHeader` and `StoredPlace` of guest/exec/stored.h. */
const HEADER = {
  size: 72,
  version: 8,
  count: 12,
  build: 16,
  index: 36,
  sourceBytes: 40,
  bytes: 48,
} as const;
const PLACE_BYTES = 8;
const MAGIC = 0x736e617274646401n;
const VERSION = 2;
export const BUILD_BYTES = 20;
/** What ends a store file: AES-256-GMAC of the body, with a nonce of its own (NIST SP 800-38D). */
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAC_BYTES = NONCE_BYTES + TAG_BYTES;
const KEY_BYTES = 32;
/** `kStoredBytesMax`. */
const BODY_MAX = 64 << 20;
/** All store files together; the ones not used for longest go first. */
const STORE_MAX = 1 << 30;
/** How much of the room is left after making some. */
const STORE_KEPT = STORE_MAX * 0.75;
/** A file is marked as used this often at most. */
const USED_MS = 3_600_000;
const IDENTITY = /^[0-9a-f]{64}(-[0-9a-f]{1,14}){2}$/;
const KEY_NAME = "key";

/** What translations are made of: bytes `offset` to `offset + size` behind `fd`, which never change. */
export interface Source {
  readonly identity: string;
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

/** A store file that may be lent. */
export interface StoreFile {
  /** Read-only. */
  readonly fd: number;
  /** Places in the source that it has been made for, in that order. */
  readonly pcs: readonly number[];
}

/** Why a store file is not what it should be. */
export class Refused extends Error {
  readonly code = "TRANSLATIONS_REFUSED";
}

/** The directory of store files of one user. */
export class Store {
  readonly #directory: string;
  #key: Buffer | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The store file of `source`, if there is one that program `build` has made.
   * @throws {Refused} when it is not to be trusted; it has been removed, where that is possible.
   */
  open(source: Source, build: Uint8Array): StoreFile | undefined {
    const path = this.#path(source);
    const fd = openIfThere(path);
    if (fd === undefined) return undefined;
    try {
      const pcs = this.#check(fd, source, build);
      markUsed(path, fd);
      return { fd, pcs };
    } catch (error) {
      closeSync(fd);
      if (error instanceof Refused) quietly(() => rmSync(path, { force: true }));
      throw error;
    }
  }

  /**
   * Keeps `body`, which was made of `source` by program `build`.
   * @throws {Refused} when it is nothing of the kind; whatever node:fs throws when it cannot be kept.
   */
  write(source: Source, build: Uint8Array, body: Uint8Array): void {
    readHeader(body, source, build);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const staged = join(this.#directory, `.${randomBytes(12).toString("hex")}`);
    try {
      const bytes = Buffer.concat([body, this.#mac(source, body, randomBytes(NONCE_BYTES))]);
      writeFileSync(staged, bytes, { flag: "wx", mode: 0o600 });
      renameSync(staged, this.#path(source));
    } catch (error) {
      quietly(() => rmSync(staged, { force: true }));
      throw error;
    }
    this.#makeRoom();
  }

  #path({ identity }: Source): string {
    if (!IDENTITY.test(identity)) throw new Error(`Not an identity: ${identity}`);
    return join(this.#directory, identity);
  }

  #check(fd: number, source: Source, build: Uint8Array): readonly number[] {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0) {
      throw new Refused("it is not this user's alone");
    }
    const length = stat.size - MAC_BYTES;
    if (length < HEADER.size || length > BODY_MAX) throw new Refused("it is cut off");
    const bytes = Buffer.allocUnsafe(stat.size);
    for (let at = 0; at < bytes.length; ) {
      const got = readSync(fd, bytes, at, bytes.length - at, at);
      if (got === 0) throw new Refused("it is cut off");
      at += got;
    }
    const body = bytes.subarray(0, length);
    const mac = bytes.subarray(length);
    if (!timingSafeEqual(this.#mac(source, body, mac.subarray(0, NONCE_BYTES)), mac)) {
      throw new Refused("it has been changed, or is another file's");
    }
    return readHeader(body, source, build);
  }

  /** Nonce and tag. Each source has a key of its own, so that no file passes for another's. */
  #mac({ identity }: Source, body: Uint8Array, nonce: Uint8Array): Buffer {
    this.#key ??= loadKey(this.#directory);
    const key = createHmac("sha256", this.#key).update(identity).digest();
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(body);
    cipher.final();
    return Buffer.concat([nonce, cipher.getAuthTag()]);
  }

  #makeRoom(): void {
    const files = readdirSync(this.#directory).flatMap((name) => {
      const path = join(this.#directory, name);
      const stat = IDENTITY.test(name) ? quietly(() => statSync(path)) : undefined;
      return stat === undefined ? [] : [{ path, size: stat.size, used: stat.mtimeMs }];
    });
    let total = files.reduce((sum, { size }) => sum + size, 0);
    if (total <= STORE_MAX) return;
    for (const { path, size } of files.sort((a, b) => a.used - b.used)) {
      if (total <= STORE_KEPT) return;
      quietly(() => rmSync(path, { force: true }));
      total -= size;
    }
  }
}

/** The places a body was made for. @throws {Refused} */
function readHeader(body: Uint8Array, source: Source, build: Uint8Array): readonly number[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body.length < HEADER.size || view.getBigUint64(0, true) !== MAGIC) {
    throw new Refused("it is something else");
  }
  const made = body.subarray(HEADER.build, HEADER.build + BUILD_BYTES);
  if (view.getUint32(HEADER.version, true) !== VERSION || Buffer.compare(made, build) !== 0) {
    throw new Refused("another version has made it");
  }
  const count = view.getUint32(HEADER.count, true);
  const index = view.getUint32(HEADER.index, true);
  const whole =
    view.getBigUint64(HEADER.bytes, true) === BigInt(body.length) &&
    view.getBigUint64(HEADER.sourceBytes, true) === BigInt(source.size) &&
    index + count * PLACE_BYTES <= body.length;
  if (!whole) throw new Refused("it is cut off");
  const places: { readonly pc: number; readonly at: number }[] = [];
  for (let at = index; at < index + count * PLACE_BYTES; at += PLACE_BYTES) {
    places.push({ pc: view.getUint32(at, true), at: view.getUint32(at + 4, true) });
  }
  return places.sort((a, b) => a.at - b.at).map(({ pc }) => pc);
}

/** The user's own key for store files, made if there is none. */
function loadKey(directory: string): Buffer {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, KEY_NAME);
  const read = () => {
    const fd = openIfThere(path);
    if (fd === undefined) return undefined;
    try {
      const { uid, mode } = fstatSync(fd);
      const key = readFileSync(fd);
      const own = uid === process.getuid?.() && (mode & 0o077) === 0;
      return own && key.length === KEY_BYTES ? key : undefined;
    } finally {
      closeSync(fd);
    }
  };
  const found = read();
  if (found !== undefined) return found;
  const staged = `${path}.${randomBytes(12).toString("hex")}`;
  try {
    writeFileSync(staged, randomBytes(KEY_BYTES), { flag: "wx", mode: 0o600 });
    quietly(() => linkSync(staged, path));
  } finally {
    quietly(() => rmSync(staged, { force: true }));
  }
  const made = read();
  if (made === undefined) throw new Refused("its key is not this user's alone");
  return made;
}

function openIfThere(path: string): number | undefined {
  return quietly(() => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
}

/** For {@link Store.makeRoom}. */
function markUsed(path: string, fd: number): void {
  const now = Date.now();
  if (now - fstatSync(fd).mtimeMs < USED_MS) return;
  quietly(() => utimesSync(path, now / 1000, now / 1000));
}

/** What may fail without harm: the file is gone, or the store cannot be written. */
function quietly<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch {
    return undefined;
  }
}

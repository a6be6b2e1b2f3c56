import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

const SECRET_BYTES = 32;
const CODE_MS_MAX = 120_000;
const CODES_MAX = 16;
const SESSIONS_MAX = 64;

/** Who may use the dashboard: codes that sign in once, and the sessions they have become. */
export class Sessions {
  /** Hash of the code -> when it was made. */
  private readonly codes = new Map<string, number>();
  private readonly tokens = new Set<string>();

  /** @returns a code that is good for one sign-in within two minutes. */
  newCode(): string {
    const code = randomBytes(SECRET_BYTES).toString("hex");
    this.codes.set(hash(code), Date.now());
    forgetOldest(this.codes.keys(), this.codes, CODES_MAX);
    return code;
  }

  /** @returns the session's token, or undefined when the code is not good (any more). */
  signIn(code: string): string | undefined {
    const key = hash(code);
    const madeAt = this.codes.get(key);
    this.codes.delete(key);
    if (madeAt === undefined || Date.now() - madeAt > CODE_MS_MAX) return undefined;
    const token = randomBytes(SECRET_BYTES).toString("hex");
    this.tokens.add(hash(token));
    forgetOldest(this.tokens.keys(), this.tokens, SESSIONS_MAX);
    return token;
  }

  isSignedIn(token: string): boolean {
    const digest = Buffer.from(hash(token));
    let found = false;
    for (const known of this.tokens) {
      if (timingSafeEqual(Buffer.from(known), digest)) found = true;
    }
    return found;
  }
}

function forgetOldest<Key>(
  keys: Iterable<Key>,
  from: { size: number; delete(key: Key): unknown },
  max: number,
) {
  for (const key of keys) {
    if (from.size <= max) return;
    from.delete(key);
  }
}

function hash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

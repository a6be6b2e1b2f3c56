import type { ByteString } from "../../sentry/abi/bytes.ts";
import { ACCOUNT_FILE_BYTES_MAX, resolveUser } from "../../sentry/container/user.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { BuildError } from "../errors.ts";
import { contentOf, type Owner } from "./copy.ts";
import { resolvePath } from "./tree-path.ts";

/**
 * Who `--chown=` means: numbers, or names of the stage's own passwd(5) and group(5). A user without a group has the
 * group of the same number.
 * @throws {BuildError} BUILD_INVALID
 */
export async function resolveOwner(text: string, root: ImageNode | undefined): Promise<Owner> {
  const [user = "", group] = text.split(":", 2);
  const numeric = /^[0-9]{1,10}$/;
  if (numeric.test(user) && (group === undefined || numeric.test(group))) {
    return { uid: Number(user), gid: Number(group ?? user) };
  }
  const [passwd, groups] = await Promise.all([
    accountFile(root, "etc/passwd"),
    accountFile(root, "etc/group"),
  ]);
  try {
    const { uid, gid } = resolveUser(text, passwd, groups);
    return { uid, gid };
  } catch (error) {
    throw new BuildError("BUILD_INVALID", (error as Error).message, { cause: error });
  }
}

async function accountFile(root: ImageNode | undefined, path: ByteString): Promise<Uint8Array> {
  const node = resolvePath(root, path, true)?.node;
  if (node?.type !== "file" || node.size > ACCOUNT_FILE_BYTES_MAX) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  for await (const bytes of contentOf(node)) chunks.push(bytes);
  return Buffer.concat(chunks);
}

/**
 * A process of its own for the tests that kill one or fill its disk:
 * `store-child ROOT BYTES [PAUSE_MS]` imports a root directory with one file of random bytes, slowly
 * where PAUSE_MS is given, and prints the code of the error, or `ok`.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { pieces, tar } from "./tar-fixture.ts";

const [root = "", bytes = "0", pauseMs = "0"] = process.argv.slice(2);

async function* slowly(): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces(
    tar([{ name: "f", content: randomBytes(Number(bytes)) }]),
    65_536,
  )) {
    yield piece;
    process.stdout.write(".");
    await sleep(Number(pauseMs));
  }
}

try {
  await importRoot(new ImageStore(root), slowly(), { reference: "child" });
  process.stdout.write("ok\n");
} catch (error) {
  process.stdout.write(`${error instanceof ImageError ? error.code : error}\n`);
}

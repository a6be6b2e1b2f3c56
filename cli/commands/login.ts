import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { registryOf, storeCredentials } from "../../sentry/image/credentials.ts";
import { login } from "../../sentry/image/login.ts";
import { EXIT, usageError } from "../errors.ts";
import type { LOGIN_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

const PASSWORD_BYTES_MAX = 64 * 1024;

export async function main(
  values: Values<typeof LOGIN_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const registry = registryOf(operands[0] ?? "");
  const { username: user, password: word, insecure } = values;
  const piped = values["password-stdin"];
  if (piped && word !== undefined) {
    throw usageError("--password and --password-stdin are two ways to say one thing");
  }
  if (piped && user === undefined) throw usageError("--password-stdin needs --username");
  if (word !== undefined) {
    process.stderr.write("A password in a command line can be seen by others\n");
  }
  const username = user ?? (await ask("Username: ", false));
  const password = word ?? (piped ? await readPiped() : await ask("Password: ", true));
  const token = await login(registry, { username, password }, { insecure });
  const helper = await storeCredentials(
    registry,
    token === undefined ? { username, password } : { username, identityToken: token },
  );
  if (helper === undefined && token === undefined) {
    process.stderr.write(
      "The password is kept unencrypted in docker's config.json: name a credential helper there\n",
    );
  }
  process.stdout.write("Login Succeeded\n");
  return EXIT.ok;
}

async function readPiped(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > PASSWORD_BYTES_MAX) throw usageError("this is no password");
  }
  return text.replace(/\r?\n$/, "");
}

/** Asks on the terminal; what is typed is not shown when it is `secret`. */
async function ask(question: string, secret: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    throw usageError(
      "there is no terminal to ask for the login on",
      "Use --username and --password-stdin",
    );
  }
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({
    input: process.stdin,
    output: secret ? silent : process.stderr,
    terminal: true,
  });
  try {
    return await lines.question("");
  } finally {
    lines.close();
    if (secret) process.stderr.write("\n");
  }
}

import { CONTEXT_NAME, DockerContext } from "../docker-context.ts";
import { EXIT } from "../errors.ts";

export function main(): number {
  const there = new DockerContext(process.env).uninstall();
  if (there) process.stdout.write(`${CONTEXT_NAME}\n`);
  return EXIT.ok;
}

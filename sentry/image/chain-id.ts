import { type Digest, digestOf } from "./digest.ts";

/**
 * The names of stacks of layers, bottom to top: each says what it has and what is below it. That is what docker
 * calls a layer when it says that one is gone. See the OCI image configuration, "Layer ChainID".
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(Buffer.from(`${below} ${diffId}`)));
  }
  return chain;
}

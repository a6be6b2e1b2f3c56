import { digestOf } from "../../sentry/image/digest.ts";
import { BuildError } from "../errors.ts";
import { codec } from "../proto/messages.ts";

/** A graph of steps, as frontends make them: operations, each encoded, the last naming the result. */
export interface Definition {
  readonly def: readonly Uint8Array[];
  /** By the digests of the operations; clients take a definition without for none. */
  readonly metadata?: Readonly<Record<string, object>>;
}

interface Operation {
  readonly inputs: readonly { readonly digest: string; readonly index: number }[];
  readonly source: { readonly identifier: string } | null;
}
const OPERATION = codec<Operation>("Operation");

/** What names a result of ours in a definition. */
const RESULT = "dd-result://";

/**
 * A definition that names a result of ours and nothing else: what a client is given in place of the steps, and brings
 * back when another build is to stand on it.
 */
export function resultDefinition(id: string): Definition {
  const source = OPERATION.encode({ source: { identifier: RESULT + id } });
  const digest = digestOf(source);
  const result = OPERATION.encode({ inputs: [{ digest, index: 0 }] });
  return { def: [source, result], metadata: { [digest]: {}, [digestOf(result)]: {} } };
}

/**
 * The one source that a definition consists of: `docker-image://...`, `local://...`, or a result of ours.
 * @throws {BuildError} BUILD_UNSUPPORTED for everything that steps would have to be done for
 */
export function sourceOf(definition: Definition): {
  readonly kind: "result" | "image" | "local";
  readonly name: string;
} {
  const [first, ...rest] = definition.def.map((bytes) => {
    try {
      return OPERATION.decode(bytes);
    } catch (error) {
      throw new BuildError("BUILD_INPUT", `invalid definition: ${(error as Error).message}`);
    }
  });
  const identifier = first?.source?.identifier ?? "";
  const [, scheme, name = ""] = /^([a-z-]+):\/\/(.*)$/s.exec(identifier) ?? [];
  const isPlain = rest.length <= 1 && rest.every(({ source }) => source === null);
  if (isPlain && scheme === "dd-result") return { kind: "result", name };
  if (isPlain && scheme === "docker-image") return { kind: "image", name };
  if (isPlain && scheme === "local") return { kind: "local", name };
  throw new BuildError(
    "BUILD_UNSUPPORTED",
    "builds from LLB definitions are not supported: only Dockerfiles are",
  );
}

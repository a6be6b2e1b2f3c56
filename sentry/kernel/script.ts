import type { ByteString } from "../abi/bytes.ts";
import { ENOEXEC, type Errno } from "../abi/errno.ts";

/** How much of a file is looked at to find out what it is: BINPRM_BUF_SIZE. */
export const SCRIPT_LINE_MAX = 256;

/** The first line of a script: `#!interpreter [argument]`. */
export interface ScriptLine {
  readonly interpreter: ByteString;
  /** All that follows the interpreter's name, as one argument. */
  readonly argument: ByteString | undefined;
}

/** Whether a file begins as a script does. */
export function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/**
 * @param head the first {@link SCRIPT_LINE_MAX} bytes of the file, or all of it.
 * @returns `ENOEXEC` when no interpreter is named, or when its name may have been cut off. See execve(2).
 */
export function parseScriptLine(head: Uint8Array): ScriptLine | Errno {
  const text = Buffer.from(head.subarray(2, SCRIPT_LINE_MAX)).toString("latin1");
  const newline = text.indexOf("\n");
  const line = (newline < 0 ? text.replace(/\0.*$/s, "") : text.slice(0, newline)).replace(
    /^[ \t]+|[ \t]+$/g,
    "",
  );
  const [interpreter = ""] = line.split(/[ \t\0]/, 1);
  if (interpreter === "") return ENOEXEC;
  const truncated = newline < 0 && head.length >= SCRIPT_LINE_MAX;
  if (truncated && interpreter.length === line.length) return ENOEXEC;
  const argument = line
    .slice(interpreter.length)
    .replace(/^[ \t]+/, "")
    .replace(/\0.*$/s, "");
  return { interpreter, argument: argument === "" ? undefined : argument };
}

/** Bounds on what a Dockerfile, a context or a client can make a build do. */

/** Bytes of a Dockerfile. */
export const DOCKERFILE_BYTES_MAX = 2 << 20;
/** Bytes of one line, as BuildKit has it. */
export const LINE_BYTES_MAX = 64 * 1024 - 1;
/** Instructions of a Dockerfile, triggers of ONBUILD included. */
export const INSTRUCTIONS_MAX = 10_000;
/** Characters that expanding the variables of one word can give. */
export const EXPANSION_MAX = 1 << 20;
/** `${a:-${b:-...}}` inside of each other. */
export const EXPANSION_DEPTH_MAX = 64;
/** Patterns of a `.dockerignore`, and the characters of each. */
export const IGNORE_PATTERNS_MAX = 10_000;
export const IGNORE_PATTERN_MAX = 4096;
/** Bytes of a `.dockerignore`. */
export const IGNORE_BYTES_MAX = 1 << 20;
/** Symbolic links that a path to copy goes through. */
export const SYMLINKS_MAX = 40;
/** Directories inside of each other in a tree that is copied. */
export const DEPTH_MAX = 1024;
/** Entries that one COPY or ADD makes. */
export const COPY_ENTRIES_MAX = 2_000_000;
/** Bytes of a secret. */
export const SECRET_BYTES_MAX = 500 * 1024;
/** Bytes that ADD takes from the network for one file. */
export const DOWNLOAD_BYTES_MAX = 16 * 2 ** 30;
/** Steps that run at the same time. */
export const PARALLEL_STEPS_MAX = 4;

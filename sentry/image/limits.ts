/**
 * What an image may cost us at most. Layers, manifests and archives come from strangers: each loop
 * and allocation over their bytes is bounded by one of these.
 */

/** Linux's own: bytes of a path and of one name. See path_resolution(7). */
export const PATH_BYTES_MAX = 4096;
export const NAME_BYTES_MAX = 255;
/** Symlinks followed in one walk, as in the kernel's `MAXSYMLINKS`. */
export const SYMLINKS_MAX = 40;
/** Directories below each other: more than any path of {@link PATH_BYTES_MAX} can name. */
export const DEPTH_MAX = 2048;

/** Entries of one layer's archive; the largest known images have a few hundred thousand. */
export const LAYER_ENTRIES_MAX = 1_000_000;
/** Pieces of one sparse file. */
export const SPARSE_EXTENTS_MAX = 100_000;
/** Bytes of all names, targets and attributes of one layer. */
export const LAYER_NAME_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of one layer when unpacked. */
export const LAYER_BYTES_MAX = 64 * 1024 * 1024 * 1024;
/** How much larger than its compressed form a layer may become (deflate's own limit is 1032)... */
export const LAYER_RATIO_MAX = 1000;
/** ...once it is larger than this: a small layer of zeros is nobody's problem. */
export const LAYER_RATIO_FREE_BYTES = 64 * 1024 * 1024;

/** Bytes of one pax extended header. */
export const PAX_BYTES_MAX = 1024 * 1024;
/** Attributes of one inode, and Linux's limits of a name and a value. See xattr(7). */
export const XATTRS_MAX = 128;
export const XATTR_NAME_BYTES_MAX = 255;
export const XATTR_VALUE_BYTES_MAX = 64 * 1024;

/** Bytes of a manifest, an index, a config or a registry's answer to a question. */
export const JSON_BYTES_MAX = 4 * 1024 * 1024;
/** Nesting of such a document. */
export const JSON_DEPTH_MAX = 32;
/** Layers of one image; docker's overlay driver stops at 128. */
export const LAYERS_MAX = 128;
/** Steps in the history of one image. */
export const HISTORY_MAX = 4096;
/** Manifests of one index. */
export const INDEX_MANIFESTS_MAX = 1024;

import { HOST_IMAGE } from "../../sentry/container/run-image.ts";
import { listImages, matchesReference } from "../../sentry/image/image-filter.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { platformName } from "../../sentry/image/platform.ts";
import { familiarRepository, parseReference } from "../../sentry/image/reference.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import { filtersOf } from "../image-filters.ts";
import type { IMAGES_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import { type Columns, duration, printRows, type Row, size } from "../output.ts";

const NONE = "<none>";
const SHORT_ID = 12;

const COLUMNS: Columns = [
  ["REPOSITORY", "Repository"],
  ["TAG", "Tag"],
  ["IMAGE ID", "ID"],
  ["PLATFORM", "Platform"],
  ["CREATED", "CreatedSince"],
  ["SIZE", "Size"],
];

export async function main(
  values: Values<typeof IMAGES_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const filters = filtersOf(values.filter);
  const [wanted] = operands;
  const chosen = wanted === undefined ? filters : { ...filters, reference: [wanted] };
  const store = new ImageStore(openDirectories().root);
  const images = await listImages(store, chosen, { all: values.all });
  const rows = images.flatMap((image) => linesOf(image, values["no-trunc"]));
  // It has no label, no age and no digest: only its name can be asked for.
  const patterns = chosen["reference"];
  const others = Object.keys(chosen).some((key) => key !== "reference");
  if (!others && (patterns === undefined || matchesReference(HOST_IMAGE, patterns))) {
    rows.unshift(hostRow());
  }
  if (values.quiet) {
    for (const id of new Set(rows.map((row) => row["ID"]))) process.stdout.write(`${id}\n`);
    return EXIT.ok;
  }
  const columns: Columns = values.digests
    ? [...COLUMNS.slice(0, 2), ["DIGEST", "Digest"], ...COLUMNS.slice(2)]
    : COLUMNS;
  printRows(rows, columns, values);
  return EXIT.ok;
}

/** An image, under each of its names. */
function linesOf(image: StoredImage, whole: boolean): Row[] {
  const { created, platform } = image.config;
  const createdAt = created === undefined ? Number.NaN : Date.parse(created);
  const digests = image.digests.map((name) => name.split("@"));
  const names = image.tags.length > 0 ? image.tags : [""];
  return names.map((name) => {
    const reference = name === "" ? undefined : parseReference(name);
    const repository = reference === undefined ? NONE : familiarRepository(reference);
    const tag = reference?.tag ?? NONE;
    const digest = digests.find(([of]) => of === name.slice(0, name.lastIndexOf(":")))?.[1];
    return {
      Name: reference === undefined ? image.id : `${repository}:${tag}`,
      Repository: repository,
      Tag: tag,
      Digest: digest ?? NONE,
      ID: whole ? image.id : image.id.slice("sha256:".length, "sha256:".length + SHORT_ID),
      Platform: platformName(platform),
      CreatedAt: created ?? "",
      CreatedSince: Number.isNaN(createdAt) ? "N/A" : `${duration(Date.now() - createdAt)} ago`,
      Size: size(image.size),
    };
  });
}

function hostRow(): Row {
  return {
    Name: HOST_IMAGE,
    Repository: HOST_IMAGE,
    Tag: "",
    Digest: NONE,
    ID: HOST_IMAGE,
    Platform: `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`,
    CreatedAt: "",
    CreatedSince: "N/A",
    Size: "0B",
  };
}

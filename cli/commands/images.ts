import { HOST_IMAGE } from "../../sentry/container/run-image.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { platformName } from "../../sentry/image/platform.ts";
import { familiarRepository, parseReference } from "../../sentry/image/reference.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel, type Matchers } from "../filter.ts";
import type { Values } from "../option.ts";
import type { IMAGES_OPTIONS } from "../options.ts";
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

/** One line of the listing: an image under one of its names. */
interface Line {
  readonly row: Row;
  readonly labels: Readonly<Record<string, string>>;
  /** `repository:tag`, empty for none. */
  readonly name: string;
}

const MATCHERS: Matchers<Line> = {
  reference: ({ name }, value) => matchesPattern(name, value),
  label: ({ labels }, value) => hasLabel(labels, value),
  dangling: ({ name }, value) => (name === "") === (value === "true" || value === "1"),
};

export async function main(
  values: Values<typeof IMAGES_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const stored = await new ImageStore(openDirectories().root).list();
  const lines = [hostLine(), ...stored.flatMap((image) => linesOf(image, values["no-trunc"]))];
  const wanted = operands[0];
  const named = lines.filter(({ name }) => wanted === undefined || matchesPattern(name, wanted));
  const rows = applyFilters(named, values.filter, MATCHERS).map(({ row }) => row);
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

function linesOf(image: StoredImage, whole: boolean): Line[] {
  const { created, config, platform } = image.config;
  const createdAt = created === undefined ? Number.NaN : Date.parse(created);
  const digests = image.digests.map((name) => name.split("@"));
  const names = image.tags.length > 0 ? image.tags : [""];
  return names.map((name) => {
    const reference = name === "" ? undefined : parseReference(name);
    const repository = reference === undefined ? NONE : familiarRepository(reference);
    const tag = reference?.tag ?? NONE;
    const digest = digests.find(([of]) => of === name.slice(0, name.lastIndexOf(":")))?.[1];
    return {
      name: reference === undefined ? "" : `${repository}:${tag}`,
      labels: config.Labels,
      row: {
        Name: reference === undefined ? image.id : `${repository}:${tag}`,
        Repository: repository,
        Tag: tag,
        Digest: digest ?? NONE,
        ID: whole ? image.id : image.id.slice("sha256:".length, "sha256:".length + SHORT_ID),
        Platform: platformName(platform),
        CreatedAt: created ?? "",
        CreatedSince: Number.isNaN(createdAt) ? "N/A" : `${duration(Date.now() - createdAt)} ago`,
        Size: size(image.size),
      },
    };
  });
}

function hostLine(): Line {
  return {
    name: HOST_IMAGE,
    labels: {},
    row: {
      Name: HOST_IMAGE,
      Repository: HOST_IMAGE,
      Tag: "",
      Digest: NONE,
      ID: HOST_IMAGE,
      Platform: `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`,
      CreatedAt: "",
      CreatedSince: "N/A",
      Size: "0B",
    },
  };
}

/** Whether a name is meant by `pattern`: a repository, a repository and tag, with `*` for any letters. */
function matchesPattern(name: string, pattern: string): boolean {
  const source = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  const expression = new RegExp(`^${source}$`);
  return (
    expression.test(name) || expression.test(name.slice(0, Math.max(0, name.lastIndexOf(":"))))
  );
}

import type { Digest } from "../../sentry/image/digest.ts";
import type { ImageStore, StoredImage } from "../../sentry/image/image-store.ts";
import { shortPlatformName } from "../../sentry/image/platform.ts";
import type { PullOptions } from "../../sentry/image/pull.ts";
import { push, pushIndex } from "../../sentry/image/push.ts";
import { canonicalName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";
import type { RegistrySettings } from "../../sentry/image/registry-settings.ts";
import { save, saveIndex } from "../../sentry/image/save.ts";
import { type TarMember, writeTar } from "../../sentry/image/tar-writer.ts";
import { BuildError } from "../errors.ts";
import { builtFiles } from "../export/files.ts";
import { exportImage } from "../export/image.ts";
import type { VertexReport } from "../solve/progress.ts";
import type { Solved } from "../solve/solver.ts";
import { sendArchive, sendFiles } from "./file-send.ts";
import type { Job } from "./jobs.ts";
import type { ClientSession } from "./sessions.ts";

/** What a client wants of a result. */
export interface ExportOrder {
  readonly type: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** What a client is told of an export, by BuildKit's names. */
export type ExportResponse = Readonly<Record<string, string>>;

/** What an export needs besides the results. */
export interface Exporting {
  readonly job: Job;
  readonly store: ImageStore;
  session(): Promise<ClientSession>;
  credentials(domain: string): Promise<PullOptions["credentials"]>;
  readonly registries: () => RegistrySettings;
  /** Told of each image that is in the store from now on. */
  onImage(image: StoredImage): void;
}

type Attributes = ExportOrder["attributes"];
type Exporter = (
  /** One for each platform. */
  results: readonly Solved[],
  attributes: Attributes,
  exporting: Exporting,
) => Promise<ExportResponse>;

const nothing: Exporter = async () => ({});

/** Where results can go, by BuildKit's names. */
const EXPORTERS: Readonly<Record<string, Exporter>> = {
  moby: toImage,
  image: toImage,
  docker: (results, attributes, exporting) => {
    refuseSeveral(results, "docker exporter does not currently support exporting manifest lists");
    return toArchive(results, attributes, exporting);
  },
  oci: toArchive,
  local: toDirectory,
  tar: toTarball,
  cacheonly: nothing,
  "": nothing,
};

/**
 * Puts the results of a build where the client wants them.
 * @throws {BuildError}, {ImageError}
 */
export async function exportResults(
  results: readonly Solved[],
  { type, attributes }: ExportOrder,
  exporting: Exporting,
): Promise<ExportResponse> {
  const exporter = Object.hasOwn(EXPORTERS, type) ? EXPORTERS[type] : undefined;
  if (exporter !== undefined) return exporter(results, attributes, exporting);
  throw new BuildError("BUILD_UNSUPPORTED", `exporter ${JSON.stringify(type)} could not be found`);
}

/** @throws {BuildError} for what cannot take the results of several platforms, before anything is built */
export function refuseOrder({ type, attributes }: ExportOrder): void {
  if ((type === "moby" || type === "image") && !isTrue(attributes.get("push"))) {
    throw new BuildError(
      "BUILD_UNSUPPORTED",
      "exporting multiple references to image store is currently unsupported: " +
        "use --push, or --output type=oci or type=local",
    );
  }
}

function refuseSeveral(results: readonly Solved[], message: string): void {
  if (results.length > 1) throw new BuildError("BUILD_UNSUPPORTED", message);
}

function isTrue(text: string | undefined): boolean {
  return text === "true" || text === "1" || text === "";
}

function inputsOf(results: readonly Solved[]): readonly string[] {
  return results.flatMap(({ vertex }) => vertex ?? []);
}

function namesOf(attributes: Attributes): readonly string[] {
  return (attributes.get("name") ?? "").split(",").filter((name) => name !== "");
}

async function toImage(
  results: readonly Solved[],
  attributes: Attributes,
  exporting: Exporting,
): Promise<ExportResponse> {
  const [only] = results;
  const pushes = attributes.has("push") && isTrue(attributes.get("push"));
  if (results.length > 1 || only === undefined) {
    refuseOrder({ type: "image", attributes });
    return pushSeveral(results, attributes, exporting);
  }
  const names = namesOf(attributes);
  const { job, onImage } = exporting;
  return job.progress.run("exporting to image", inputsOf(results), async (report) => {
    const image = await report.part("exporting layers", () => exportImage(only, names));
    await report.part(`writing image ${image.id}`, async () => undefined);
    for (const name of names) {
      await report.part(`naming to ${completeName(name)}`, async () => undefined);
    }
    onImage(image);
    let digest: string = image.id;
    if (pushes) for (const name of names) digest = await pushOne(name, report, exporting);
    return {
      "containerimage.config.digest": image.id,
      "containerimage.digest": digest,
      ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
    };
  });
}

function completeName(name: string): string {
  return canonicalName(withDefaultTag(parseReference(name)));
}

async function pushOne(
  name: string,
  report: VertexReport,
  { store, credentials, registries, job }: Exporting,
): Promise<Digest> {
  const { domain } = parseReference(name);
  let pushed: Digest | undefined;
  await report.part(`pushing ${completeName(name)}`, async () =>
    push(store, name, {
      credentials: await credentials(domain),
      settings: registries(),
      signal: job.abort.signal,
      onProgress: (event) => {
        if (event.type === "done") pushed = event.digest;
      },
    }),
  );
  if (pushed === undefined) throw new Error("A push ended without a digest");
  return pushed;
}

/** Images that only a registry is to have together: the store has no name for several. */
async function pushSeveral(
  results: readonly Solved[],
  attributes: Attributes,
  exporting: Exporting,
): Promise<ExportResponse> {
  const { job, store, credentials, registries } = exporting;
  const names = namesOf(attributes);
  return job.progress.run("exporting to image", inputsOf(results), (report) =>
    withImages(results, report, store, async (images) => {
      let digest = "";
      for (const name of names) {
        const { domain } = parseReference(name);
        digest = await report.part(`pushing ${completeName(name)}`, async () =>
          pushIndex(store, name, images, {
            credentials: await credentials(domain),
            settings: registries(),
            signal: job.abort.signal,
          }),
        );
      }
      return { "containerimage.digest": digest, "image.name": names.join(",") };
    }),
  );
}

/** Lends images without names, which are gone afterwards unless they were there before. */
async function withImages<T>(
  results: readonly Solved[],
  report: VertexReport,
  store: ImageStore,
  work: (images: readonly StoredImage[]) => Promise<T>,
): Promise<T> {
  const known = new Set((await store.list()).map(({ id }) => id));
  const images: StoredImage[] = [];
  try {
    for (const solved of results) {
      images.push(await report.part("exporting layers", () => exportImage(solved, [])));
    }
    return await work(images);
  } finally {
    for (const id of new Set(images.map((image) => image.id))) {
      if (!known.has(id)) await store.remove(id, { force: true });
    }
  }
}

async function toArchive(
  results: readonly Solved[],
  attributes: Attributes,
  { job, store, session }: Exporting,
): Promise<ExportResponse> {
  if (attributes.get("tar") === "false") {
    throw new BuildError("BUILD_UNSUPPORTED", "tar=false is not supported: unpack the archive");
  }
  const names = namesOf(attributes);
  const kind = results.length > 1 ? "OCI" : "docker";
  const name = `exporting to ${kind} image format`;
  return job.progress.run(name, inputsOf(results), async (report) => {
    const [only] = results;
    const send = (archive: AsyncIterable<Uint8Array>) =>
      report.part("sending tarball", async () => sendArchive(await session(), archive));
    if (results.length > 1 || only === undefined) {
      return withImages(results, report, store, async (images) => {
        await send(saveIndex(store, images, names));
        return {};
      });
    }
    if (names.length === 0) {
      return withImages(results, report, store, async (images) => {
        const ids = images.map(({ id }) => id);
        await send(await save(store, ids));
        return { "containerimage.config.digest": ids[0] ?? "" };
      });
    }
    const image = await report.part("exporting layers", () => exportImage(only, names));
    await send(await save(store, names));
    return { "containerimage.config.digest": image.id, "image.name": names.join(",") };
  });
}

async function toDirectory(
  results: readonly Solved[],
  attributes: Attributes,
  { job, session }: Exporting,
): Promise<ExportResponse> {
  await job.progress.run("exporting to client directory", inputsOf(results), (report) =>
    report.part("copying files", async () =>
      sendFiles(await session(), splitFiles(results, attributes)),
    ),
  );
  return {};
}

async function toTarball(
  results: readonly Solved[],
  attributes: Attributes,
  { job, session }: Exporting,
): Promise<ExportResponse> {
  await job.progress.run("exporting to client tarball", inputsOf(results), (report) =>
    report.part("sending tarball", async () =>
      sendArchive(await session(), writeTar(splitFiles(results, attributes))),
    ),
  );
  return {};
}

/** The files of all platforms, each in a directory of its platform's name unless there is but one. */
function* splitFiles(results: readonly Solved[], attributes: Attributes): Iterable<TarMember> {
  const wish = attributes.get("platform-split");
  const splits = wish === undefined ? results.length > 1 : isTrue(wish);
  for (const solved of results) {
    if (!splits) {
      yield* builtFiles(solved);
      continue;
    }
    const top = shortPlatformName(solved.state.platform).replaceAll("/", "_");
    yield { entry: { ...DIRECTORY, path: top } };
    for (const { entry, ...rest } of builtFiles(solved)) {
      const link = entry.type === "hardlink" ? `${top}/${entry.link}` : entry.link;
      yield { ...rest, entry: { ...entry, path: `${top}/${entry.path}`, link } };
    }
  }
}

const DIRECTORY = {
  type: "directory",
  mode: 0o755,
  ...{ uid: 0, gid: 0, size: 0, mtime: 0n, link: "", major: 0, minor: 0, xattrs: new Map() },
} as const;

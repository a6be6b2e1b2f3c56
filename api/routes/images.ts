import type { IncomingHttpHeaders } from "node:http";
import type { ImageFilters, ImagesEngine } from "../engine/images.ts";
import { ApiError } from "../errors.ts";
import { Filters } from "../filters.ts";
import { jsonMessages } from "../json-lines.ts";
import { type Answer, done, json, type Row, route } from "../row.ts";
import { query, queryOf } from "../schema.ts";

const LIST_FILTERS = ["dangling", "label", "label!", "before", "since", "reference", "until"];
const PRUNE_FILTERS = ["dangling", "label", "label!", "until"];
const SEARCH_FILTERS = ["is-automated", "is-official", "stars"];

const PLATFORM = query.text("os[/arch[/variant]], as words or as JSON");

/** As clients write it that can name several. */
const PLATFORMS = query.texts("os[/arch[/variant]], as words or as JSON; one of them");

/** @throws {ApiError} `INVALID`: an image here is for one platform. */
function single(platforms: readonly string[]): string | undefined {
  if (platforms.length > 1) {
    throw new ApiError("INVALID", "multiple platform parameters not supported");
  }
  return platforms[0] || undefined;
}

export function imageRows(images: ImagesEngine): readonly Row[] {
  return [
    ...imageListRows(images),
    ...imageTransferRows(images),
    route({
      method: "GET",
      url: "/images/:name/json",
      summary: "All about an image",
      query: queryOf({
        manifests: query.flag("Accepted for stores that have several platforms"),
        platform: PLATFORM,
      }),
      handle: async ({ params, query: { platform }, version }) =>
        json(await images.inspect(params["name"] ?? "", platform || undefined, version)),
    }),
    route({
      method: "GET",
      url: "/images/:name/history",
      summary: "The steps that made an image, newest first",
      query: queryOf({ platform: PLATFORM }),
      handle: async ({ params, query: { platform } }) =>
        json(await images.history(params["name"] ?? "", platform || undefined)),
    }),
    route({
      method: "POST",
      url: "/images/:name/tag",
      summary: "Give an image another name",
      query: queryOf({
        repo: query.text("The repository, such as registry.example/app"),
        tag: query.text("Default: latest"),
      }),
      handle: async ({ params, query: { repo = "", tag } }) => {
        await images.tag(params["name"] ?? "", repo, tag || undefined);
        return done(201);
      },
    }),
    route({
      method: "DELETE",
      url: "/images/:name",
      summary: "Take a name from an image, and remove it with the last one",
      query: queryOf({
        force: query.flag("Also when a stopped container has it"),
        noprune: query.flag("Leave parents without a name"),
        platforms: query.texts("Accepted for those that have several"),
      }),
      handle: async ({ params, query: { force = false, noprune: noPrune = false } }) =>
        json(await images.remove(params["name"] ?? "", { force, noPrune })),
    }),
  ];
}

/** What concerns many images at once. */
function imageListRows(images: ImagesEngine): readonly Row[] {
  return [
    route({
      method: "GET",
      url: "/images/json",
      summary: "The images there are",
      query: queryOf({
        all: query.flag("Also the steps of builds"),
        digests: query.flag("Accepted: digests are always told"),
        "shared-size": query.flag("Also how much of each is another's, too"),
        manifests: query.flag("Accepted for stores that have several platforms"),
        filters: query.filters(),
      }),
      handle: async ({ query: choice, version }) => {
        const { all = false, "shared-size": sharedSize = false } = choice;
        const filters = plain(choice.filters, LIST_FILTERS);
        return json(await images.list({ all, sharedSize, filters }, version));
      },
    }),
    route({
      method: "POST",
      url: "/images/prune",
      summary: "Remove images that nobody needs",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters } }) =>
        json(await images.prune(plain(filters, PRUNE_FILTERS))),
    }),
    route({
      method: "GET",
      url: "/images/search",
      summary: "Look for images in a registry",
      query: queryOf({
        term: query.text("What to look for"),
        limit: query.integer("How many at most"),
        filters: query.filters(),
      }),
      handle: async ({ query: { term = "", limit, filters }, headers }) =>
        json(
          await images.search({
            term,
            limit,
            filters: plain(filters, SEARCH_FILTERS),
            auth: authOf(headers),
          }),
        ),
    }),
  ];
}

/** Images on their way in and out. */
function imageTransferRows(images: ImagesEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/images/create",
      summary: "Fetch an image from a registry, or make one of an archive",
      upload: true,
      query: queryOf({
        fromImage: query.text("What to fetch"),
        fromSrc: query.text("Instead: where the archive of a root directory is; - is the body"),
        repo: query.text("Name of an imported image"),
        tag: query.text("A tag or a digest"),
        message: query.text("For the history of an imported image"),
        changes: query.texts("Dockerfile instructions for an imported image"),
        platform: PLATFORM,
      }),
      handle: ({ query: choice, headers, upload, gone }) => {
        const { fromImage: image, tag, fromSrc: source } = choice;
        const platform = choice.platform || undefined;
        if (image) {
          const wanted = { image, tag: tag || undefined, platform, auth: authOf(headers) };
          return jsonMessages(images.pull(wanted, gone));
        }
        if (!source) throw new ApiError("INVALID", "invalid reference format");
        const { repo: repository, message, changes = [] } = choice;
        const made = { source, repository, tag, message, changes, platform };
        return jsonMessages(images.import(made, upload, gone));
      },
    }),
    route({
      method: "POST",
      url: "/images/load",
      summary: "Add the images of an archive",
      upload: true,
      query: queryOf({ quiet: query.flag("Do not tell how far it is"), platform: PLATFORM }),
      handle: ({ query: { quiet = false, platform }, upload, gone }) =>
        jsonMessages(images.load(upload, { quiet, platform: platform || undefined }, gone)),
    }),
    route({
      method: "POST",
      url: "/images/:name/push",
      summary: "Send an image to its registry",
      query: queryOf({ tag: query.text("Default: all"), platform: PLATFORM }),
      handle: ({ params, query: { tag, platform }, headers, gone }) => {
        const auth = authOf(headers);
        const choice = { tag: tag || undefined, platform: platform || undefined, auth };
        return jsonMessages(images.push(params["name"] ?? "", choice, gone));
      },
    }),
    route({
      method: "GET",
      url: "/images/get",
      summary: "An archive of several images",
      query: queryOf({ names: query.texts("Which"), platform: PLATFORMS }),
      handle: async ({ query: { names = [], platform = [] } }) =>
        archive(await images.save(names.flatMap(split), single(platform))),
    }),
    route({
      method: "GET",
      url: "/images/:name/get",
      summary: "An archive of one image, or of all of a repository",
      query: queryOf({ platform: PLATFORMS }),
      handle: async ({ params, query: { platform = [] } }) =>
        archive(await images.save([params["name"] ?? ""], single(platform))),
    }),
  ];
}

/** Some clients send a list as one word. */
function split(names: string): string[] {
  return names.split(",").filter((name) => name !== "");
}

function archive(body: AsyncIterable<Uint8Array>): Answer {
  return { kind: "stream", type: "application/x-tar", body };
}

export function authOf(headers: IncomingHttpHeaders): string | undefined {
  const auth = headers["x-registry-auth"];
  return typeof auth === "string" ? auth : undefined;
}

function plain(text: string | undefined, accepted: readonly string[]): ImageFilters {
  const filters = Filters.parse(text, accepted);
  return Object.fromEntries(
    accepted.filter((name) => filters.has(name)).map((name) => [name, filters.get(name)]),
  );
}

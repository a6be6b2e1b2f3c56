import type { CommitEngine } from "../engine/commit.ts";
import { created, type Row, route } from "../row.ts";
import { type Of, part, query, queryOf } from "../schema.ts";
import { CONFIG } from "./container-bodies.ts";

const COMMIT_BODY = part(CONFIG);
export type CommitBody = Of<typeof COMMIT_BODY>;

export function commitRows(engine: CommitEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/commit",
      summary: "Make an image of a container",
      query: queryOf({
        container: query.text("The container"),
        repo: query.text("Name of the image"),
        tag: query.text("Its tag"),
        comment: query.text("For the image's history"),
        author: query.text("Who has made it"),
        pause: query.flag("Freeze the container meanwhile; the default"),
        changes: query.texts("Dockerfile instructions for the image's configuration"),
      }),
      body: COMMIT_BODY,
      handle: async ({ query: choice, body, gone }) => {
        const { container = "", repo, tag, comment = "", author = "", pause, changes } = choice;
        return created(
          await engine.commit(
            {
              container,
              repository: repo || undefined,
              tag: tag || undefined,
              comment,
              author,
              pause: pause ?? true,
              changes: (changes ?? []).flatMap((each) => each.split("\n")).filter((line) => line),
              body,
            },
            gone,
          ),
        );
      },
    }),
  ];
}

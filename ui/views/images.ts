import { confirmThen } from "../dialog.ts";
import { button, element, fill } from "../dom.ts";
import { get, part, remove } from "../engine.ts";
import { ago, bytes, plain, shortId } from "../format.ts";
import { type End, follow } from "../live.ts";
import { makeForm } from "../make-form.ts";
import { jsonLines } from "../stream.ts";
import { Table } from "../table.ts";
import { Progress, type ProgressMessage } from "./progress.ts";

interface Image {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly Size: number;
  readonly Created: number;
}

export function showImages(place: HTMLElement): End {
  const gone = new AbortController();
  const pulls = element("div");
  const pull = async (name: string) => {
    const progress = new Progress();
    fill(pulls, progress.root);
    const [, repository = name, tag = "latest"] = /^(.*?)(?::([^:/]+))?$/.exec(name) ?? [];
    const byDigest = name.includes("@");
    const query = byDigest ? { fromImage: name } : { fromImage: repository, tag };
    const choice = { method: "POST", query, signal: gone.signal } as const;
    for await (const message of jsonLines<ProgressMessage>("/images/create", choice)) {
      progress.show(message);
    }
  };
  const form = makeForm("Images", "Image to pull: registry/name:tag", "Pull", pull);
  const table = new Table<Image>("Images", "There are no images", ({ Id }) => Id, [
    { title: "Name", cell: ({ RepoTags }) => plain((RepoTags ?? []).join(", ")) || "<none>" },
    { title: "Id", cell: ({ Id }) => shortId(Id) },
    { title: "Made", cell: ({ Created }) => ago(Created) },
    { title: "Size", kind: "number", cell: ({ Size }) => bytes(Size) },
    {
      title: "",
      kind: "actions",
      cell: ({ Id, RepoTags }) => {
        const name = RepoTags?.[0] ?? shortId(Id);
        const ask = () =>
          confirmThen(`Remove the image ${plain(name)}?`, "Remove", () =>
            remove(`/images/${part(RepoTags?.[0] ?? Id)}`),
          );
        return button("Remove", ask, "danger");
      },
    },
  ]);
  place.append(form, pulls, table.root);
  const endFollowing = follow(["image"], async () =>
    table.show(await get<readonly Image[]>("/images/json")),
  );
  return () => {
    gone.abort();
    endFollowing();
  };
}

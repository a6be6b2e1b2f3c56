import { confirmThen } from "../dialog.ts";
import { button } from "../dom.ts";
import { get, part, post, remove } from "../engine.ts";
import { plain } from "../format.ts";
import { type End, follow } from "../live.ts";
import { makeForm } from "../make-form.ts";
import { Table } from "../table.ts";

interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt?: string;
}

export function showVolumes(place: HTMLElement): End {
  const form = makeForm("Volumes", "New volume", "Create", (name) =>
    post("/volumes/create", { Name: name }),
  );
  const table = new Table<Volume>("Volumes", "There are no volumes", ({ Name }) => Name, [
    { title: "Name", cell: ({ Name }) => plain(Name) },
    { title: "Driver", cell: ({ Driver }) => plain(Driver) },
    { title: "On this machine", cell: ({ Mountpoint }) => plain(Mountpoint) },
    {
      title: "",
      kind: "actions",
      cell: ({ Name }) =>
        button(
          "Remove",
          () =>
            confirmThen(`Remove the volume ${plain(Name)}, with all that is in it?`, "Remove", () =>
              remove(`/volumes/${part(Name)}`),
            ),
          "danger",
        ),
    },
  ]);
  place.append(form, table.root);
  return follow(["volume"], async () => {
    const { Volumes } = await get<{ Volumes: readonly Volume[] | null }>("/volumes");
    table.show(Volumes ?? []);
  });
}

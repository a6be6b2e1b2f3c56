import { confirmThen } from "../dialog.ts";
import { button, complain, element } from "../dom.ts";
import { get, part, post, remove } from "../engine.ts";
import { plain } from "../format.ts";
import { type End, follow } from "../live.ts";
import { Table } from "../table.ts";

interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt?: string;
}

export function showVolumes(place: HTMLElement): End {
  const name = element("input", {
    placeholder: "name",
    "aria-label": "New volume",
    required: true,
  });
  const form = element(
    "form",
    {
      class: "bar",
      onsubmit: (event) => {
        event.preventDefault();
        post("/volumes/create", { Name: name.value }).catch(complain);
        name.value = "";
      },
    },
    element("h2", {}, "Volumes"),
    name,
    element("button", { type: "submit" }, "Create"),
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

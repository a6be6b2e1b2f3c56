import { confirmThen } from "../dialog.ts";
import { button } from "../dom.ts";
import { get, part, post, remove } from "../engine.ts";
import { plain, shortId } from "../format.ts";
import { type End, follow } from "../live.ts";
import { makeForm } from "../make-form.ts";
import { Table } from "../table.ts";

interface Network {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly IPAM: { readonly Config: readonly { Subnet?: string }[] | null };
}

const PREDEFINED = new Set(["bridge", "host", "none"]);

export function showNetworks(place: HTMLElement): End {
  const form = makeForm("Networks", "New network", "Create", (name) =>
    post("/networks/create", { Name: name, CheckDuplicate: true }),
  );
  const table = new Table<Network>("Networks", "There are no networks", ({ Id }) => Id, [
    { title: "Name", cell: ({ Name }) => plain(Name) },
    { title: "Id", cell: ({ Id }) => shortId(Id) },
    { title: "Driver", cell: ({ Driver }) => plain(Driver) },
    {
      title: "Subnets",
      cell: ({ IPAM }) => (IPAM.Config ?? []).map(({ Subnet = "" }) => Subnet).join(", "),
    },
    {
      title: "Reaches out",
      cell: ({ Internal, Name }) => (Internal || Name === "none" ? "no" : "yes"),
    },
    {
      title: "",
      kind: "actions",
      cell: ({ Id, Name }) =>
        PREDEFINED.has(Name)
          ? undefined
          : button(
              "Remove",
              () =>
                confirmThen(`Remove the network ${plain(Name)}?`, "Remove", () =>
                  remove(`/networks/${part(Id)}`),
                ),
              "danger",
            ),
    },
  ]);
  place.append(form, table.root);
  return follow(["network"], async () => table.show(await get<readonly Network[]>("/networks")));
}

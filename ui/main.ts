/** Where the page begins: sign-in, navigation, shortcuts. */
import { complain, element, fill, find } from "./dom.ts";
import { EngineError, get, request } from "./engine.ts";
import type { End } from "./live.ts";
import { showBuild } from "./views/build.ts";
import { showContainer } from "./views/container.ts";
import { showContainers } from "./views/containers.ts";
import { showImages } from "./views/images.ts";
import { showNetworks } from "./views/networks.ts";
import { showVolumes } from "./views/volumes.ts";

type View = (place: HTMLElement, name: string) => End;

/** The first segment of the location's hash, the key after `g`, the view. */
const PLACES: readonly { path: string; title: string; key: string; view: View }[] = [
  { path: "containers", title: "Containers", key: "c", view: showContainers },
  { path: "images", title: "Images", key: "i", view: showImages },
  { path: "build", title: "Build", key: "b", view: showBuild },
  { path: "networks", title: "Networks", key: "n", view: showNetworks },
  { path: "volumes", title: "Volumes", key: "v", view: showVolumes },
];

let end: End = () => {};

function show(): void {
  const [path = "", name = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const place = PLACES.find((one) => one.path === path) ?? PLACES[0];
  const view = path === "container" ? showContainer : place?.view;
  const current = path === "container" ? "containers" : place?.path;
  fill(
    find("nav"),
    ...PLACES.map(({ path, title, key }) =>
      element(
        "a",
        { href: `#${path}`, "aria-current": path === current ? "page" : undefined },
        title,
        element("kbd", { title: `Type g, then ${key}` }, `g ${key}`),
      ),
    ),
  );
  end();
  const main = find("main") as HTMLElement;
  fill(main);
  end = view?.(main, name) ?? (() => {});
  main.focus();
}

/** `g` and a place's key goes there; `/` goes to the search field. */
function listenForShortcuts(): void {
  let afterG = false;
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const typing = target.closest("input, textarea, select, .terminal") !== null;
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search instanceof HTMLElement) {
        event.preventDefault();
        search.focus();
      }
    }
    const place = afterG ? PLACES.find(({ key }) => key === event.key) : undefined;
    if (place !== undefined) location.hash = place.path;
    afterG = event.key === "g";
  });
}

/** A link of `ddcli ui` carries a code that is good for one sign-in; it never gets into the history. */
async function signIn(): Promise<void> {
  const match = /^#code=([0-9a-f]+)$/.exec(location.hash);
  if (match === null) return;
  history.replaceState(null, "", "/");
  await request("/dashboard/session", { method: "POST", body: { code: match[1] } });
}

interface Info {
  readonly Name: string;
  readonly ServerVersion: string;
  readonly NCPU: number;
}

async function begin(): Promise<void> {
  try {
    await signIn();
    const { Name, ServerVersion, NCPU } = await get<Info>("/info");
    fill(find(".host"), `${Name}, dd ${ServerVersion}, ${NCPU} CPUs`);
  } catch (error) {
    const refused = error instanceof EngineError && (error.status === 401 || error.status === 403);
    fill(
      find("main"),
      element(
        "p",
        { class: "empty" },
        refused ? "This page is not signed in. Open it with: ddcli ui" : String(error),
      ),
    );
    return;
  }
  addEventListener("hashchange", show);
  listenForShortcuts();
  show();
}

begin().catch(complain);

import test from "ava";
import fc from "fast-check";
import {
  EACCES,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  Errno,
  EXDEV,
} from "../../../sentry/abi/errno.ts";
import {
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../../../sentry/abi/file.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import { forgetFiles } from "../../../sentry/vfs/dentry-cache.ts";
import { inodeAt, pathName } from "../../../sentry/vfs/mount.ts";
import { lookup } from "../../../sentry/vfs/resolve.ts";
import { Guest, ok, scratch, user } from "../fs/fixture.ts";

function guest() {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd(), mode: 0o755 });
  const done = () => {
    fs.release();
    directory.done();
  };
  return { g: new Guest(fs), done, directory };
}

/** A tree of directories, files and links, and how path_resolution(7) walks it, in a few lines. */
type Model = { readonly [name: string]: Model } | "file" | { readonly to: string };
const TREE: Model = {
  d: { e: { f: "file", up: { to: ".." }, top: { to: "/" } }, g: "file", loop: { to: "loop" } },
  f: "file",
  abs: { to: "/d/e" },
  rel: { to: "d//e/" },
  file: { to: "f" },
  dangling: { to: "nowhere" },
  twice: { to: "abs/up/g" },
};

function isDirectory(node: Model): node is { readonly [name: string]: Model } {
  return typeof node === "object" && typeof node["to"] !== "string";
}

function walk(path: string, follow: boolean): readonly string[] | string {
  if (path === "") return "ENOENT";
  let at: string[] = [];
  let links = 0;
  const rest = path.split("/");
  const nodeAt = (names: readonly string[]): Model | undefined => {
    let node: Model | undefined = TREE;
    for (const name of names) node = node && isDirectory(node) ? node[name] : undefined;
    return node;
  };
  while (rest.length > 0) {
    const name = rest.shift() as string;
    const here = nodeAt(at) as Model;
    if (name === "") {
      if (rest.every((each) => each === "") && !isDirectory(here)) return "ENOTDIR";
      continue;
    }
    if (!isDirectory(here)) return "ENOTDIR";
    if (name === ".") continue;
    if (name === "..") {
      at = at.slice(0, -1);
      continue;
    }
    const child: Model | undefined = Object.hasOwn(here, name) ? here[name] : undefined;
    if (child === undefined) return "ENOENT";
    if (
      typeof child === "object" &&
      typeof child["to"] === "string" &&
      (rest.length > 0 || follow)
    ) {
      if (++links > 40) return "ELOOP";
      if (child["to"].startsWith("/")) at = [];
      rest.unshift(...child["to"].split("/"));
      continue;
    }
    at = [...at, name];
  }
  return at;
}

function build(g: Guest, model: Model, at: string) {
  if (!isDirectory(model)) return;
  for (const [name, child] of Object.entries(model)) {
    const path = `${at}/${name}`;
    if (child === "file") g.write(path, "");
    else if (typeof child["to"] === "string") g.symlink(child["to"], path);
    else {
      g.mkdir(path);
      build(g, child, path);
    }
  }
}

test("paths lead where a simple model of path_resolution(7) says", (t) => {
  const { g, done } = guest();
  build(g, TREE, "");
  const component = fc.constantFrom(
    "d",
    "e",
    "f",
    "g",
    "up",
    "top",
    "loop",
    "abs",
    "rel",
    "file",
    "dangling",
    "twice",
    ".",
    "..",
    "",
    "x",
  );
  const paths = fc.array(component, { maxLength: 8 }).map((names) => `/${names.join("/")}`);
  fc.assert(
    fc.property(paths, fc.boolean(), (path, noFollow) => {
      const expected = walk(path, !noFollow);
      const found = lookup(g, g.fs.cwd, path, { noFollow });
      const actual = found instanceof Errno ? found.name : pathName(found, g.fs.root);
      t.is(actual, typeof expected === "string" ? expected : `/${expected.join("/")}`, path);
    }),
    { numRuns: 2000 },
  );
  done();
});

test("the 41st symlink of a path is ELOOP, the 40th is not", (t) => {
  const { g, done } = guest();
  g.write("/l0", "end");
  for (let i = 1; i <= 41; i++) g.symlink(`l${i - 1}`, `/l${i}`);
  t.is(g.read("/l40"), "end");
  t.is(g.read("/l41"), ELOOP);
  done();
});

test("a component of 256 bytes is ENAMETOOLONG, and looking below a file is ENOTDIR", (t) => {
  const { g, done } = guest();
  g.write("/f", "");
  t.is(g.path(`/${"n".repeat(256)}`), ENAMETOOLONG);
  t.is(g.path(`/${"n".repeat(255)}`), ENOENT);
  t.is(g.path("/f/"), ENOTDIR);
  t.is(g.path("/f/."), ENOTDIR);
  t.is(g.path(""), ENOENT);
  done();
});

test("every directory on the way must let the caller through", (t) => {
  const { g, done } = guest();
  g.mkdir("/open");
  g.mkdir("/open/closed", 0o600);
  g.mkdir("/open/closed/inside");
  g.credentials = user(5);
  t.is(g.path("/open/closed/inside"), EACCES);
  t.is(g.path("/open/closed/missing"), EACCES);
  t.false(g.path("/open/closed") instanceof Errno);
  done();
});

test("nothing leads out of a chroot, but a place outside that is held stays outside", (t) => {
  const { g, done } = guest();
  g.mkdir("/jail");
  g.mkdir("/jail/d");
  g.write("/secret", "s");
  g.symlink("/secret", "/jail/abs");
  g.symlink("../../secret", "/jail/d/rel");
  const outside = g.fs.root;
  g.fs.root = ok(g.path("/jail"));
  g.fs.cwd = g.fs.root;
  t.is(g.read("/abs"), ENOENT);
  t.is(g.read("/d/rel"), ENOENT);
  t.is(g.read("/../../secret"), ENOENT);
  t.is(pathName(ok(g.path("/..")), g.fs.root), "/");
  g.fs.cwd = outside;
  t.is(g.read("secret"), "s");
  t.regex(pathName(g.fs.cwd, g.fs.root), /^(\(unreachable\))?\//);
  done();
});

test("RESOLVE_BENEATH refuses what leaves, RESOLVE_IN_ROOT keeps it in", (t) => {
  const { g, done } = guest();
  build(g, TREE, "");
  const d = ok(g.path("/d"));
  const how = (resolve: number) => (path: string) => {
    const found = lookup(g, d, path, { resolve });
    return found instanceof Errno ? found : pathName(found, g.fs.root);
  };
  const beneath = how(RESOLVE_BENEATH);
  t.is(beneath("e/f"), "/d/e/f");
  t.is(beneath("e/up/g"), "/d/g");
  t.is(beneath("../f"), EXDEV);
  t.is(beneath("/d"), EXDEV);
  t.is(beneath("e/top"), EXDEV);
  const inRoot = how(RESOLVE_IN_ROOT);
  t.is(inRoot("/e/f"), "/d/e/f");
  t.is(inRoot("../../e"), "/d/e");
  t.is(inRoot("e/top/g"), "/d/g");
  t.is(how(RESOLVE_NO_SYMLINKS)("e/up"), ELOOP);
  done();
});

test("mounts cover what is below, stack, and `..` leads out of them", (t) => {
  const { g, done, directory } = guest();
  g.mkdir("/m");
  g.write("/m/below", "");
  const point = ok(g.path("/m"));
  const first = tmpfs({ dirfd: directory.dirfd(), mode: 0o755 });
  const second = tmpfs({ dirfd: directory.dirfd(), mode: 0o755 });
  const lower = g.namespace.attach(first.rootDentry, point);
  g.write("/m/first", "");
  t.is(g.path("/m/below"), ENOENT);
  const upper = g.namespace.attach(second.rootDentry, ok(g.path("/m")));
  t.deepEqual(g.list("/m"), []);
  t.is(inodeAt(ok(g.path("/m/.."))), g.inode("/"));
  const crossing = lookup(g, g.fs.root, "m", { resolve: RESOLVE_NO_XDEV });
  t.is(crossing, EXDEV);
  g.namespace.detach(upper);
  t.deepEqual(g.list("/m"), ["first"]);
  g.namespace.detach(lower);
  t.deepEqual(g.list("/m"), ["below"]);
  first.release();
  second.release();
  done();
});

test("a moved directory is found under its new name only, also by those who stand in it", (t) => {
  const { g, done } = guest();
  g.mkdir("/a");
  g.mkdir("/a/in");
  g.fs.cwd = ok(g.path("/a/in"));
  g.rename("/a", "/b");
  t.is(pathName(g.fs.cwd, g.fs.root), "/b/in");
  t.is(g.path("/a/in"), ENOENT);
  t.is(pathName(ok(g.path("..")), g.fs.root), "/b");
  done();
});

test("names that nobody needs are forgotten, and found again", (t) => {
  const { g, done } = guest();
  build(g, TREE, "");
  g.path("/missing");
  const open = ok(g.open("/d/e/f", O_RDONLY));
  const place = ok(g.path("/d/e/f"));
  // "/d", "/d/e", "/d/e/f": directories, and what is open.
  t.is(forgetFiles(g.fs.root.dentry), 3);
  t.is(ok(g.path("/d/e/f")).dentry, place.dentry);
  t.is(g.path("/missing"), ENOENT);
  t.is(g.read("/twice"), "");
  t.is(g.unlink("/f"), undefined);
  t.is(g.read("/file"), ENOENT);
  open.close();
  done();
});

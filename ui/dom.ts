/** Elements. Children that are strings become text: nothing here can make markup of what a guest chose. */

export type Child = Node | string | number | undefined | null | false;
type Listener = (event: Event) => void;
/** Attributes by name; `onclick` and the like are listeners; `true` is an attribute without value. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined | Listener>>;

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice("on".length), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value));
  }
  append(made, children);
  return made;
}

function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces all that is in `parent`. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** The element that must be there. */
export function find(selector: string): Element {
  const found = document.querySelector(selector);
  if (found === null) throw new Error(`There is no ${selector}`);
  return found;
}

/** A short word with a class of its own, as for states: `running` is shown in its colour. */
export function badge(word: string): HTMLElement {
  return element("span", { class: `badge ${word.replaceAll(/[^a-z]/g, "")}` }, word);
}

export function button(label: string, act: () => unknown, kind = ""): HTMLButtonElement {
  return element("button", { type: "button", class: kind, onclick: () => void act() }, label);
}

const MESSAGE_MS = 8000;

/** Tells of a failure, for a while. */
export function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const message = element("p", {}, text);
  find(".messages").appendChild(message);
  setTimeout(() => message.remove(), MESSAGE_MS);
}

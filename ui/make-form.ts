import { complain, element } from "./dom.ts";

/** A view's heading, with a field for the name of one more of what it lists. */
export function makeForm(
  title: string,
  label: string,
  action: string,
  make: (name: string) => Promise<unknown>,
): HTMLFormElement {
  const name = element("input", { placeholder: label, "aria-label": label, required: true });
  return element(
    "form",
    {
      class: "bar",
      onsubmit: (event) => {
        event.preventDefault();
        make(name.value.trim()).catch(complain);
        name.value = "";
      },
    },
    element("h2", {}, title),
    name,
    element("button", { type: "submit" }, action),
  );
}

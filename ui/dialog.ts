import { button, complain, element } from "./dom.ts";

/** Asks before something that cannot be undone. */
export function confirmThen(question: string, label: string, act: () => Promise<unknown>): void {
  const dialog = element("dialog", { "aria-label": question }, element("p", {}, question));
  const close = () => {
    dialog.close();
    dialog.remove();
  };
  dialog.appendChild(
    element(
      "div",
      { class: "bar" },
      button("Cancel", close),
      button(
        label,
        () => {
          close();
          act().catch(complain);
        },
        "danger",
      ),
    ),
  );
  dialog.addEventListener("cancel", () => dialog.remove());
  document.body.appendChild(dialog);
  dialog.showModal();
}

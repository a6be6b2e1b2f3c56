import { type Child, element, fill } from "./dom.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => Child | readonly Child[];
  readonly kind?: "number" | "actions";
}

/** A table of rows that come again and again; what has the focus keeps it when its row is still there. */
export class Table<Row> {
  readonly root: HTMLElement;
  readonly #body = element("tbody");
  readonly #columns: readonly Column<Row>[];
  readonly #empty: string;
  readonly #keyOf: (row: Row) => string;

  constructor(
    label: string,
    empty: string,
    keyOf: (row: Row) => string,
    columns: readonly Column<Row>[],
  ) {
    this.#columns = columns;
    this.#empty = empty;
    this.#keyOf = keyOf;
    const titles = columns.map(({ title, kind }) =>
      element("th", { scope: "col", class: kind ?? "" }, title),
    );
    this.root = element(
      "table",
      { "aria-label": label },
      element("thead", {}, element("tr", {}, ...titles)),
      this.#body,
    );
  }

  show(rows: readonly Row[]): void {
    const focus = this.#focus();
    if (rows.length === 0) {
      const cell = element("td", { class: "empty", colspan: this.#columns.length }, this.#empty);
      fill(this.#body, element("tr", {}, cell));
      return;
    }
    fill(this.#body, ...rows.map((row) => this.#row(row)));
    if (focus !== undefined) this.#focusAgain(focus);
  }

  #row(row: Row): HTMLElement {
    const cells = this.#columns.map(({ cell, kind }) => {
      const content = cell(row);
      const children = Array.isArray(content) ? (content as readonly Child[]) : [content as Child];
      return element("td", { class: kind ?? "" }, ...children);
    });
    return element("tr", { "data-key": this.#keyOf(row) }, ...cells);
  }

  #focus(): { key: string; index: number } | undefined {
    const active = document.activeElement;
    const row = active?.closest("tr");
    const key = row?.getAttribute("data-key");
    if (row == null || key == null || active === null || !this.#body.contains(row))
      return undefined;
    return { key, index: [...row.querySelectorAll("a, button")].indexOf(active) };
  }

  #focusAgain({ key, index }: { key: string; index: number }): void {
    for (const row of this.#body.querySelectorAll("tr")) {
      if (row.getAttribute("data-key") !== key) continue;
      const target = row.querySelectorAll("a, button")[index];
      if (target instanceof HTMLElement) target.focus();
    }
  }
}

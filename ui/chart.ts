import { element } from "./dom.ts";

const POINTS = 60;
const WIDTH = 100;
const HEIGHT = 30;
const SVG = "http://www.w3.org/2000/svg";

/** A figure with the line of its last minute. */
export class Chart {
  readonly root: HTMLElement;
  readonly #output = element("output", {}, "–");
  readonly #path = document.createElementNS(SVG, "path");
  readonly #values: number[] = [];
  /** Values below this do not fill the height. */
  readonly #least: number;

  constructor(title: string, least: number) {
    this.#least = least;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "chart");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${title} of the last minute`);
    svg.appendChild(this.#path);
    this.root = element("section", { class: "card" }, element("h3", {}, title), this.#output, svg);
  }

  add(value: number, text: string): void {
    this.#values.push(value);
    if (this.#values.length > POINTS) this.#values.shift();
    const top = Math.max(this.#least, ...this.#values) * 1.1;
    const points = this.#values.map((one, index) => {
      const x = ((POINTS - this.#values.length + index) / (POINTS - 1)) * WIDTH;
      return `${x.toFixed(2)},${(HEIGHT - (one / top) * HEIGHT).toFixed(2)}`;
    });
    this.#path.setAttribute("d", `M${points.join("L")}`);
    this.#output.textContent = text;
  }
}

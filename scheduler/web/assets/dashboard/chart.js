// A line chart over the last minutes, drawn as SVG in pixels of the screen, so that lines and text are crisp. It can
// be read by the pointer, by the arrow keys, and by a screen reader, to which it is a slider over time.

import { h, s, setAttribute, setText } from "../common/dom.js";
import { clock, duration } from "../common/format.js";
import { axis, linePath } from "./scale.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;
const STEP_S = 60;

export class Chart {
  /**
   * `series`: [{label, style, area, isRare}], drawn in this order (a rare one leaves out its zeros); `show(value)` makes text of a value, `tick(value)` of
   * one at the axis. `about` says what the figures are. `floor` is the least top of the axis, `style` its frame.
   */
  constructor({ title, about, series, show, tick = show, floor = 1, seconds, style = "card" }) {
    this.series = series;
    this.show = show;
    this.tick = tick;
    this.floor = floor;
    this.seconds = seconds;
    this.points = [];
    this.now = 0;
    this.chosen = null;
    this.width = 0;
    this.height = 0;
    this.#build(title, about, style);
    new ResizeObserver(([entry]) => this.#resize(entry.contentRect)).observe(this.plot);
  }

  #build(title, about, style) {
    this.values = this.series.map(() => h("b", { text: "–" }));
    const legend = this.series.map((one, i) =>
      h("li", { class: `key ${one.style}` }, h("i", { "aria-hidden": "true" }), h("span", { text: one.label }), this.values[i]),
    );
    this.svg = s("svg", { "aria-hidden": "true", focusable: "false" });
    this.grid = s("g", { class: "grid" });
    this.paths = this.series.map((one) => s("path", { class: `line ${one.style}` }));
    this.areas = this.series.map((one) => (one.area ? s("path", { class: `area ${one.style}` }) : null));
    this.guide = s("line", { class: "guide", visibility: "hidden" });
    this.dots = this.series.map((one) => s("circle", { class: `mark ${one.style}`, r: 3.5, visibility: "hidden" }));
    this.svg.append(this.grid, ...this.areas.filter(Boolean), ...this.paths, this.guide, ...this.dots);
    this.plot = h(
      "div",
      {
        class: "plot",
        tabindex: "0",
        role: "slider",
        "aria-label": `${title}, by seconds ago: arrow keys read the chart`,
        "aria-valuemin": String(-this.seconds),
        "aria-valuemax": "0",
        "aria-valuenow": "0",
        "aria-valuetext": "no figures yet",
        on: {
          pointermove: (event) => this.#point(event),
          pointerdown: (event) => this.#point(event),
          pointerleave: () => this.#choose(null),
          blur: () => this.#choose(null),
          keydown: (event) => this.#key(event),
        },
      },
      this.svg,
    );
    this.when = h("span", { class: "when sub", text: "now" });
    this.element = h(
      "figure",
      { class: `${style} chart` },
      h("figcaption", {}, h("h2", { text: title }), this.when, h("p", { class: "sub", text: about })),
      h("ul", { class: "keys" }, ...legend),
      this.plot,
    );
  }

  /** Show `points` ([{second, values}], values in the order of the series, null where there is none) up to `now`. */
  update(points, now) {
    this.points = points;
    this.now = now;
    this.#draw();
  }

  #resize({ width, height }) {
    this.width = Math.floor(width);
    this.height = Math.floor(height);
    setAttribute(this.svg, "width", this.width);
    setAttribute(this.svg, "height", this.height);
    this.#draw();
  }

  #x(second) {
    return LEFT + ((this.width - LEFT - RIGHT) * (second - this.now + this.seconds)) / this.seconds;
  }

  #draw() {
    if (!this.width) return;
    const first = this.now - this.seconds;
    const points = this.points.filter((point) => point.second >= first);
    let most = this.floor;
    for (const point of points) for (const value of point.values) if (value > most) most = value;
    const { top, ticks } = axis(most);
    const bottom = this.height - BOTTOM;
    const y = (value) => bottom - ((bottom - TOP) * value) / top;
    this.y = y;
    this.#drawGrid(ticks, y, bottom);
    this.series.forEach((one, i) => {
      const { line, area } = linePath(points, i, one.isRare, (second) => this.#x(second), y, bottom);
      setAttribute(this.paths[i], "d", line);
      if (this.areas[i]) setAttribute(this.areas[i], "d", area);
    });
    this.#readOut();
  }

  #drawGrid(ticks, y, bottom) {
    const lines = ticks.flatMap((value) => {
      const at = Math.round(y(value)) + 0.5;
      return [
        s("line", { x1: LEFT, x2: this.width - RIGHT, y1: at, y2: at, class: value ? "" : "base" }),
        s("text", { x: LEFT - 8, y: at + 4, class: "tick end", text: this.tick(value) }),
      ];
    });
    const step = this.width < 420 ? 2 * STEP_S : STEP_S;
    for (let ago = 0; ago <= this.seconds; ago += step) {
      const x = Math.round(this.#x(this.now - ago)) + 0.5;
      const place = ago === 0 ? "end" : ago === this.seconds ? "start" : "middle";
      lines.push(s("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "base" }));
      lines.push(
        s("text", { x, y: bottom + 17, class: `tick ${place}`, text: ago ? `−${ago / 60}\u202fmin` : "now" }),
      );
    }
    this.grid.replaceChildren(...lines);
  }

  #point(event) {
    const box = this.plot.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (this.width - LEFT - RIGHT);
    this.#choose(Math.round(this.now - this.seconds + share * this.seconds));
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 30, PageDown: -30 };
    const second = this.chosen ?? this.now;
    if (event.key === "Home") this.#choose(this.points[0]?.second ?? this.now);
    else if (event.key === "End") this.#choose(this.now);
    else if (event.key === "Escape") this.#choose(null);
    else if (event.key in steps) this.#choose(second + steps[event.key] * (event.shiftKey ? 10 : 1));
    else return;
    event.preventDefault();
  }

  #choose(second) {
    this.chosen = second === null ? null : Math.min(this.now, Math.max(this.now - this.seconds, second));
    this.#readOut();
  }

  #readOut() {
    if (!this.y) return;
    const point = this.#nearest(this.chosen ?? this.now);
    const ago = point ? this.now - point.second : 0;
    const readings = this.series.map((one, i) => {
      const value = point?.values[i] ?? null;
      setText(this.values[i], value === null ? "–" : this.show(value));
      const isShown = this.chosen !== null && value !== null;
      setAttribute(this.dots[i], "visibility", isShown ? "visible" : "hidden");
      if (isShown) {
        setAttribute(this.dots[i], "cx", this.#x(point.second));
        setAttribute(this.dots[i], "cy", this.y(value));
      }
      return `${one.label} ${value === null ? "nothing" : this.show(value)}`;
    });
    const isChosen = this.chosen !== null && point !== null;
    setText(this.when, isChosen ? `at ${clock(point.second * 1000)}` : "now");
    this.element.classList.toggle("read", isChosen);
    setAttribute(this.guide, "visibility", isChosen ? "visible" : "hidden");
    if (isChosen) {
      const x = Math.round(this.#x(point.second)) + 0.5;
      for (const [name, value] of Object.entries({ x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM })) {
        setAttribute(this.guide, name, value);
      }
    }
    if (isChosen || document.activeElement !== this.plot) {
      setAttribute(this.plot, "aria-valuenow", -ago);
      const when = ago > 0 ? `${duration(ago * 1000)} ago` : "now";
      setAttribute(this.plot, "aria-valuetext", point ? `${when}: ${readings.join(", ")}` : "no figures yet");
    }
  }

  #nearest(second) {
    let best = null;
    for (const point of this.points) {
      if (!best || Math.abs(point.second - second) <= Math.abs(best.second - second)) best = point;
    }
    return best;
  }
}

// A table of many rows: sorted by a column, filtered by text, shown a page at a time. Rows that stay keep their
// elements, so that focus, selection and the pointer's target survive an update; while the user is in the table,
// nothing in it changes its place. `tools` (filter and pager) are placed by the caller.

import { h, setAttribute, setText } from "../common/dom.js";
import { whole } from "../common/format.js";

const FILTER_FROM = 6;

export class Table {
  /**
   * `columns`: [{label, draw(td, row), sort(row)?, style?}]; `key(row)` is unique; `text(row)` is what the filter
   * looks at (none: no filter); `empty` is shown in place of a table without rows. `sorted`: [column, descending].
   */
  constructor({ name, columns, key, text = null, empty, pageSize = 25, sorted = null }) {
    this.columns = columns;
    this.key = key;
    this.text = text;
    this.pageSize = pageSize;
    this.sorted = sorted;
    this.page = 0;
    this.rows = [];
    this.elements = new Map();
    this.shown = [];
    this.#build(name, empty);
  }

  #build(name, empty) {
    this.heads = this.columns.map((column, i) => {
      if (!column.sort) return h("th", { scope: "col", class: column.style }, column.label);
      const button = h("button", { type: "button", class: "sort", on: { click: () => this.#sortBy(i) } }, column.label);
      return h("th", { scope: "col", class: column.style }, button);
    });
    this.body = h("tbody");
    this.table = h(
      "table",
      {},
      h("caption", { class: "hidden", text: name }),
      h("thead", {}, h("tr", {}, ...this.heads)),
      this.body,
    );
    this.frame = h("div", { class: "frame" }, this.table);
    this.filter = h("input", {
      type: "search",
      placeholder: `Filter ${name.toLowerCase()}`,
      "aria-label": `Filter ${name.toLowerCase()}`,
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#turnTo(0) },
    });
    this.count = h("span", { class: "count", role: "status" });
    const turn = (by, label, sign) =>
      h("button", { type: "button", class: "quiet", "aria-label": label, on: { click: () => this.#turnTo(this.page + by) } }, sign);
    this.back = turn(-1, `Previous page of ${name.toLowerCase()}`, "←");
    this.forth = turn(1, `Next page of ${name.toLowerCase()}`, "→");
    this.pager = h("div", { class: "pager" }, this.count, this.back, this.forth);
    this.tools = h("div", { class: "tools" }, this.text ? this.filter : null, this.pager);
    this.nothing = h("p", { class: "nothing", text: "Nothing matches the filter.", hidden: true });
    this.empty = h("div", { class: "empty" }, empty);
    this.element = h("div", { class: "data" }, this.frame, this.nothing, this.empty);
    this.#showSort();
  }

  /** Show `rows`. */
  update(rows) {
    this.rows = rows;
    this.#draw(this.#isBusy());
  }

  /** Show other `rows`, from their first page on, whatever the pointer is at. */
  turn(rows) {
    this.rows = rows;
    this.#turnTo(0);
  }

  #isBusy() {
    return this.body.matches(":hover") || this.body.contains(document.activeElement);
  }

  #sortBy(i) {
    const isSame = this.sorted?.[0] === i;
    this.sorted = [i, isSame ? !this.sorted[1] : Boolean(this.columns[i].falls)];
    this.#showSort();
    this.#draw(false);
  }

  #showSort() {
    this.heads.forEach((head, i) => {
      if (!this.columns[i].sort) return;
      const order = this.sorted?.[1] ? "descending" : "ascending";
      setAttribute(head, "aria-sort", this.sorted?.[0] === i ? order : "none");
    });
  }

  #turnTo(page) {
    this.page = Math.max(0, page);
    this.#draw(false);
  }

  #draw(isBusy) {
    const wanted = this.filter.value.trim().toLowerCase();
    let rows = wanted && this.text ? this.rows.filter((row) => this.text(row).toLowerCase().includes(wanted)) : this.rows;
    const pages = Math.max(1, Math.ceil(rows.length / this.pageSize));
    this.page = Math.min(this.page, pages - 1);
    const first = this.page * this.pageSize;
    let visible;
    if (isBusy && this.shown.length) {
      const byKey = new Map(rows.map((row) => [this.key(row), row]));
      visible = this.shown.filter((key) => byKey.has(key)).map((key) => byKey.get(key));
    } else {
      rows = this.#inOrder(rows);
      visible = rows.slice(first, first + this.pageSize);
    }
    this.#place(visible);
    this.#tell(rows.length, first, visible.length, pages);
  }

  #inOrder(rows) {
    if (!this.sorted) return rows;
    const [i, falls] = this.sorted;
    const sort = this.columns[i].sort;
    const sign = falls ? -1 : 1;
    return rows
      .map((row) => [sort(row), row])
      .sort(([a, rowA], [b, rowB]) => (a < b ? -sign : a > b ? sign : this.key(rowA) < this.key(rowB) ? -1 : 1))
      .map(([, row]) => row);
  }

  #place(rows) {
    const keys = rows.map(this.key);
    const kept = new Set(keys);
    for (const [key, element] of this.elements) {
      if (!kept.has(key)) {
        element.remove();
        this.elements.delete(key);
      }
    }
    rows.forEach((row, place) => {
      let element = this.elements.get(keys[place]);
      if (!element) {
        element = h("tr", {}, ...this.columns.map((column, i) => h(i ? "td" : "th", { class: column.style, scope: i ? null : "row" })));
        this.elements.set(keys[place], element);
      }
      this.columns.forEach((column, i) => column.draw(element.children[i], row));
      const there = this.body.children[place];
      if (there !== element) this.body.insertBefore(element, there ?? null);
    });
    this.shown = keys;
  }

  #tell(found, first, visible, pages) {
    const isEmpty = this.rows.length === 0;
    this.empty.hidden = !isEmpty;
    this.frame.hidden = isEmpty || found === 0;
    this.nothing.hidden = isEmpty || found > 0;
    this.filter.hidden = !this.filter.value && this.rows.length < FILTER_FROM;
    this.filter.hidden ||= isEmpty;
    this.pager.hidden = pages === 1;
    this.back.disabled = this.page === 0;
    this.forth.disabled = this.page >= pages - 1;
    setText(this.count, `${whole(first + 1)}–${whole(first + visible)} of ${whole(found)}`);
  }
}

/** Return a `draw` that shows `text(row)`. */
export const textCell = (text) => (cell, row) => setText(cell, text(row));

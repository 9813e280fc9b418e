// The colour scheme: that of the system until somebody chooses; the choice is kept in this browser.

import { setAttribute } from "./dom.js";

const KEY = "voxpool.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };
const SIGN = { system: "◐", light: "○", dark: "●" };

/** Make `button` the switch. */
export function startTheme(button) {
  let theme = read();
  const show = () => {
    setAttribute(document.documentElement, "data-theme", theme === "system" ? null : theme);
    button.textContent = SIGN[theme];
    setAttribute(button, "aria-label", `Colours: ${theme}. Change to ${NEXT[theme]}`);
    setAttribute(button, "title", `Colours: ${theme}`);
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // storage is forbidden here: the choice lasts as long as the page
    }
    show();
  });
  show();
}

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in NEXT ? kept : "system";
  } catch {
    return "system";
  }
}

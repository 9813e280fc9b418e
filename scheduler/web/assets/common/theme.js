// The colour scheme: that of the system until the user chooses; this browser keeps the choice.

import { s, setAttribute } from "./dom.js";

const KEY = "voxpool.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };
const SUN = "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6l1.4 1.4M17 17l1.4 1.4M5.6 18.4l1.4-1.4M17 7l1.4-1.4M16 12a4 4 0 1 1-8 0a4 4 0 1 1 8 0";
const MOON = "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z";
const ROUND = "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16Z";
const HALF = "M12 4a8 8 0 0 1 0 16Z";
const SIGN = { system: ROUND, light: SUN, dark: MOON };

/** Make `button` the switch. */
export function startTheme(button) {
  let theme = read();
  const path = s("path");
  const half = s("path", { class: "half" });
  button.append(s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "sign" }, path, half));
  const show = () => {
    setAttribute(document.documentElement, "data-theme", theme === "system" ? null : theme);
    setAttribute(path, "d", SIGN[theme]);
    setAttribute(half, "d", theme === "system" ? HALF : "");
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

// Makes and changes elements. Text goes in as text only: nothing here, or in any file that uses it, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. `properties`: `class`, `on` (event -> handler), `text`, anything else is an attribute. */
export function h(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** Return an SVG element, in the same way. */
export function s(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === "text") {
      element.textContent = value;
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Change the text of an element, and touch nothing when it is that already. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, or remove it when the value is null; touch nothing when it is that already. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Return the element of the page with that id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Tell people who listen instead of look. */
export function say(text) {
  byId("status").textContent = text;
}

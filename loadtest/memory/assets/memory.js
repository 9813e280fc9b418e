// Draws the page /memory again while a run goes on. The server makes the HTML and escapes all text in it.

const EVERY_MS = 2000;
const content = document.getElementById("content");
const state = document.getElementById("state");
let shown = content.innerHTML;

async function look() {
  try {
    const answer = await fetch(content.dataset.source, { cache: "no-store" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== shown) {
      const unfolded = content.querySelector("details")?.open;
      content.innerHTML = shown = text;
      if (unfolded) content.querySelector("details")?.setAttribute("open", "");
    }
    state.textContent = `Read at ${new Date().toLocaleTimeString()}; read again every ${EVERY_MS / 1000} s.`;
  } catch {
    state.textContent = "Locust does not answer: this is what was known last.";
  }
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

watch();

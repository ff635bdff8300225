/** What stands above every page: the name, how the line to the cloud is, the light. */

import { h, setAttribute, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";

const THEMES = /** @type {const} */ ([
  ["auto", "half", "Light: as the system has it"],
  ["light", "sun", "Light: day"],
  ["dark", "moon", "Light: night"],
]);

export function createHeader() {
  const line = createLine();
  const element = h(
    "header",
    { class: "header" },
    h("a", { class: "wordmark", href: "#/" }, "Maquette"),
    line.element,
    createThemeSwitch(),
  );
  return { element, follow: line.follow };
}

/** Says when the connection is lost, when the next try is, and offers one at once; silent while all is well. */
function createLine() {
  const text = h("span", { role: "status" });
  const again = h("button", { type: "button", class: "button quiet small", hidden: true }, "Try now");
  const element = h("div", { class: "line", "data-state": "connecting" }, text, again);
  /** @type {import("../cloud/live.js").Live | null} */
  let live = null;
  let stopFollowing = new AbortController();

  function show() {
    if (!live) return;
    const { state, retryAt } = live;
    setAttribute(element, "data-state", state);
    again.hidden = state !== "waiting";
    const seconds = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const sentences = {
      connecting: "",
      live: "",
      stopped: "",
      fallback: "The live line is blocked here: this page looks every few seconds instead.",
      waiting: seconds > 0 ? `No connection. Next try in ${seconds} s.` : "No connection. Trying …",
    };
    setText(text, sentences[state]);
  }

  again.addEventListener("click", () => live?.start());
  setInterval(() => live?.state === "waiting" && show(), 500);
  return {
    element,
    /** @param {import("../cloud/live.js").Live} another */
    follow(another) {
      stopFollowing.abort();
      stopFollowing = new AbortController();
      live = another;
      live.addEventListener("state", show, { signal: stopFollowing.signal });
      show();
    },
  };
}

function createThemeSwitch() {
  const root = document.documentElement;
  const button = h("button", { type: "button", class: "icon-button theme", onclick: () => set((index + 1) % THEMES.length) });
  let index = Math.max(0, THEMES.findIndex(([name]) => name === root.dataset.theme));

  /** @param {number} next */
  function set(next) {
    index = next;
    const [name, symbol, label] = THEMES[index] ?? THEMES[0];
    if (name === "auto") delete root.dataset.theme;
    else root.dataset.theme = name;
    try {
      localStorage.setItem("maquette.theme", name);
    } catch {
      // Storage is blocked: it holds until the page is left.
    }
    button.replaceChildren(icon(symbol));
    setAttribute(button, "aria-label", label);
    setAttribute(button, "title", label);
  }
  set(index);
  return button;
}

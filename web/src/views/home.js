/** The first page: give a photo, and see what has become of those before. */

import { h } from "../ui/dom.js";
import { createDrop } from "./drop.js";
import { createGallery } from "./gallery.js";

/**
 * @param {import("../main.js").Studio} studio
 * @returns {{ element: HTMLElement, dispose(): void }}
 */
export function createHome(studio) {
  document.title = "Maquette: from a photo to a model";
  const drop = createDrop(studio);
  const gallery = createGallery(studio);
  const element = h(
    "div",
    { class: "home", "data-view": "home" },
    h("div", { class: "lead" }, h("h1", { tabindex: -1 }, "A photo in, a model in your hands"), h("p", null, "A minute later you can turn it, print it, build on it.")),
    drop.element,
    gallery.element,
  );
  return {
    element,
    dispose() {
      drop.dispose();
      gallery.dispose();
    },
  };
}

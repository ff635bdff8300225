/** The turn around the model as a video. */

import { h } from "../ui/dom.js";

/**
 * @param {import("../cloud/artifacts.js").Artifacts} artifacts
 * @param {string} filename of the photo
 * @returns {{ element: HTMLElement, show(): void, hide(): void }}
 */
export function createVideo(artifacts, filename) {
  const video = h("video", { class: "turn-video", controls: true, loop: true, playsinline: true, preload: "metadata", width: 512, height: 512, "aria-label": `A turn around ${filename}` });
  const trouble = h("p", { class: "video-trouble", role: "status" });
  const element = h("div", { class: "video" }, video, trouble);
  let asked = false;

  async function load() {
    asked = true;
    trouble.textContent = "";
    try {
      video.src = await artifacts.url("render.mp4");
    } catch (error) {
      asked = false;
      trouble.textContent = /** @type {Error} */ (error).message;
    }
  }

  video.addEventListener("error", () => {
    asked = false; // its link may have ended: a new one is asked for when the tab is opened again
    trouble.textContent = "The video could not be played. Open this tab again, or take the file home.";
  });
  return {
    element,
    show: () => void (asked || load()),
    hide: () => video.pause(),
  };
}

/** The model in the room, where a device can show that and the file for it is there. */

import { h } from "../ui/dom.js";
import { glyph } from "./glyphs.js";

/** Scene Viewer of Google's app (developers.google.com/ar/develop/scene-viewer) */
const SCENE_VIEWER = "intent://arvr.google.com/scene-viewer/1.0";

/**
 * Raises CloudError.
 *
 * @param {import("../cloud/artifacts.js").Artifacts} artifacts
 * @returns {Promise<HTMLAnchorElement | null>} null: not on this device, not with these files
 */
export async function createArLink(artifacts) {
  const usdz = artifacts.files.find(({ name }) => name.endsWith(".usdz"));
  if (usdz && h("a").relList.supports("ar")) {
    const [href, picture] = await Promise.all([artifacts.url(usdz.name), artifacts.url("poster.webp")]);
    // Quick Look opens at once only from a link that holds a picture and nothing else.
    return h("a", { rel: "ar", href, class: "turn-ar", "aria-label": "See it in your room" }, h("img", { src: picture, alt: "" }));
  }
  if (!/android/i.test(navigator.userAgent)) return null;
  const intent = sceneViewerLink(await artifacts.url("mesh.glb"));
  return intent === null ? null : h("a", { href: intent, class: "button quiet small" }, glyph("room"), "In your room");
}

/**
 * @param {string} url of the GLB
 * @returns {string | null} null: the app fetches by itself, and only what is on the public web
 */
export function sceneViewerLink(url) {
  if (!url.startsWith("https:")) return null;
  const query = new URLSearchParams({ file: url, mode: "ar_preferred" });
  const what = "scheme=https;package=com.google.android.googlequicksearchbox;action=android.intent.action.VIEW";
  return `${SCENE_VIEWER}?${query}#Intent;${what};end;`;
}

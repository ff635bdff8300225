/** Where photos come in: dropped, pasted, chosen, taken with the camera, or one of three samples. */

import robot from "../../../infra/local/samples/robot.jpg";
import teapot from "../../../infra/local/samples/teapot.jpg";
import toadstool from "../../../infra/local/samples/toadstool.jpg";
import { announce } from "../ui/announce.js";
import { h, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { createOptionsForm } from "./options_form.js";
import { plinth } from "./plinth.js";

const SAMPLES = [
  { name: "robot", url: robot },
  { name: "teapot", url: teapot },
  { name: "toadstool", url: toadstool },
];

/**
 * @param {import("../main.js").Studio} studio
 * @returns {{ element: HTMLElement, dispose(): void }}
 */
export function createDrop({ intake }) {
  const options = createOptionsForm();
  const chooser = h("input", { type: "file", id: "photos", multiple: true, accept: "image/*,.heic,.heif,.avif", class: "visually-hidden", onchange: chosen });
  const camera = h("input", { type: "file", id: "camera", accept: "image/*", capture: "environment", class: "visually-hidden", onchange: chosen });
  const prompt = h("p", { class: "drop-prompt" });
  const zone = h(
    "div",
    { class: "drop-zone" },
    plinth({ guest: true }),
    prompt,
    h("div", { class: "drop-ways" }, chooser, h("label", { for: "photos", class: "button" }, "Choose photos"), camera, h("label", { for: "camera", class: "button quiet camera" }, icon("camera"), "Take one")),
    h("p", { class: "hint" }, "One object, all of it in the picture. You can paste a picture, too."),
  );
  const samples = h(
    "div",
    { class: "samples" },
    h("p", { id: "samples-title" }, "Nothing at hand? Try one of these:"),
    h(
      "ul",
      { "aria-labelledby": "samples-title" },
      ...SAMPLES.map((sample) =>
        h("li", null, h("button", { type: "button", class: "sample", "aria-label": `Try the ${sample.name}`, onclick: () => void takeSample(sample) }, h("img", { src: sample.url, alt: "", width: 96, height: 96, decoding: "async" }), h("span", null, sample.name))),
      ),
    ),
  );
  const element = h("section", { class: "drop", "aria-label": "Give it a photo" }, zone, h("div", { class: "drop-side" }, samples, options.element));

  /** @param {Iterable<File>} files */
  function take(files) {
    const all = [...files];
    if (all.length === 0) return;
    announce(all.length === 1 ? `${all[0]?.name || "The photo"} is taken in.` : `${all.length} photos are taken in.`);
    const given = options.chosen();
    for (const file of all) void intake.take(file, given);
  }

  /** @param {Event} event */
  function chosen(event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    take(input.files ?? []);
    input.value = ""; // so that the same photo can be chosen again
  }

  /** @param {{ name: string, url: string }} sample */
  async function takeSample({ name, url }) {
    try {
      const picture = await (await fetch(url)).blob();
      take([new File([picture], `${name}.jpg`, { type: "image/jpeg" })]);
    } catch {
      announce("The sample could not be fetched. Look at your connection, then try again.");
    }
  }

  // Anywhere on the page: nobody aims at a box, and a photo that misses must not replace the page.
  let depth = 0;
  const leaving = new AbortController();
  const { signal } = leaving;

  /** @param {boolean} over */
  function hover(over) {
    zone.classList.toggle("over", over);
    setText(prompt, over ? "Let go" : "Drop a photo here");
  }

  /** @param {DragEvent} event */
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

  document.addEventListener("dragenter", (event) => carriesFiles(event) && hover((depth += 1) > 0), { signal });
  document.addEventListener("dragleave", (event) => carriesFiles(event) && hover((depth -= 1) > 0), { signal });
  document.addEventListener(
    "dragover",
    (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    },
    { signal },
  );
  document.addEventListener(
    "drop",
    (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      hover(false);
      take(event.dataTransfer?.files ?? []);
    },
    { signal },
  );
  document.addEventListener(
    "paste",
    (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) event.preventDefault();
      take(files);
    },
    { signal },
  );
  hover(false);
  return { element, dispose: () => leaving.abort() };
}

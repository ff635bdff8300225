/** The model on its plinth, with everything that can be done to it. */

import { h } from "../ui/dom.js";
import { announce } from "../ui/announce.js";
import { createCurtain } from "./curtain.js";
import { createHelp } from "./help.js";
import { actionFor } from "./keys.js";
import { createPhoto } from "./photo.js";
import { saveScreenshot } from "./screenshot.js";
import { createToolbar } from "./toolbar.js";
import { NoGraphics, Viewer } from "./viewer.js";

/** radians, shares of the picture and of the distance that a key moves by */
const TURN = 0.17;
const SHIFT = 0.06;
const STEP = 0.86;

/**
 * @param {object} given
 * @param {string} given.filename of the photo
 * @param {import("../cloud/artifacts.js").Artifacts} given.artifacts
 * @param {(drawn: NonNullable<Viewer["facts"]>) => void} given.onFacts
 * @param {() => void} given.onFrames somebody would rather see the pictures
 * @returns {{ element: HTMLElement, ready: Promise<void>, dispose(): void }}
 */
export function createStage({ filename, artifacts, onFacts, onFrames }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  // It looks the same at a quarter of the bytes; models of former times have none.
  const model = artifacts.has("mesh_small.glb") ? "mesh_small.glb" : "mesh.glb";
  const curtain = createCurtain(() => void open(), onFrames);
  const photo = createPhoto(artifacts, togglePhoto);
  const help = createHelp();
  const slot = h("div", { class: "stage-view" });
  const toolbar = createToolbar({
    setMode: (mode) => viewer && (viewer.mode = mode),
    setExposure: (stops) => viewer && (viewer.exposure = stops),
    setLight: (degrees) => viewer && (viewer.light = (degrees * Math.PI) / 180),
    frame: () => viewer?.frame(),
    toggleTurning: () => viewer && (viewer.turning = !viewer.turning),
    togglePhoto: artifacts.has("input.png") ? togglePhoto : null,
    screenshot: () => void keepPicture(),
    toggleFullscreen: document.fullscreenEnabled ? () => void toggleFullscreen() : null,
    help: () => help.showModal(),
  });
  const niche = h("div", { class: "stage-niche" }, photo.sheet, h("div", { class: "stage-room" }, slot, curtain.element, photo.card));
  const element = h("div", { class: "stage" }, niche, toolbar.element, curtain.status, help);
  /** @type {Viewer | null} */
  let viewer = null;
  /** @type {Blob | null} once it is here it is not fetched again */
  let glb = null;
  /** @type {import("./viewer.js").Looks | undefined} before the graphics card lost it */
  let looks;
  /** @type {() => void} */
  let drawn = () => undefined;
  /** @type {Promise<void>} */
  const ready = new Promise((resolve) => (drawn = resolve));

  /** @param {HTMLCanvasElement} [given] one whose context came back */
  async function open(given) {
    const bytes = artifacts.files.find(({ name }) => name === model)?.bytes ?? 0;
    curtain.showLoading(0, bytes);
    viewer?.dispose();
    viewer = null;
    try {
      glb ??= await artifacts.fetch(model, { signal, onProgress: (fraction) => curtain.showLoading(fraction, bytes) });
      const data = await glb.arrayBuffer();
      if (signal.aborted) return;
      const canvas = given ?? createCanvas();
      slot.replaceChildren(canvas);
      viewer = new Viewer(canvas);
      follow(viewer, canvas);
      await viewer.show(data, looks);
    } catch (error) {
      if (signal.aborted) return;
      viewer?.dispose();
      viewer = null;
      if (error instanceof NoGraphics) {
        curtain.showTrouble("No stage for it here.", "This browser draws nothing in three dimensions. Switch on WebGL, or see the pictures from all sides.", { again: true });
      } else curtain.showTrouble("The model did not arrive.", /** @type {Error} */ (error).message);
    }
  }

  function createCanvas() {
    return h("canvas", {
      class: "stage-canvas",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "model",
      "aria-label": `${filename} as a model. Arrow keys turn it, plus and minus zoom, question mark lists all keys.`,
      "data-mode": "textured",
      onkeydown: press,
    });
  }

  /**
   * @param {Viewer} now
   * @param {HTMLCanvasElement} canvas
   */
  function follow(now, canvas) {
    now.addEventListener("drawn", () => {
      const { facts, mode } = now;
      canvas.dataset.mode = mode;
      toolbar.show({ mode });
      if (facts) {
        canvas.dataset.vertices = String(facts.vertices);
        onFacts(facts);
      }
      canvas.dataset.ready = "true";
      toolbar.element.inert = false;
      curtain.open(`${filename} stands ready to be turned.`);
      drawn();
    });
    now.addEventListener("lost", () => {
      looks = now.looks ?? looks;
      now.dispose();
      viewer = null;
      toolbar.element.inert = true;
      delete canvas.dataset.ready;
      canvas.addEventListener("webglcontextrestored", () => viewer || void open(canvas), { once: true, signal });
      curtain.showTrouble("The graphics card let go.", "Another program may have needed its memory. The model comes back as soon as there is room.");
    });
    now.addEventListener("turning", () => toolbar.show({ turning: now.turning }));
    now.addEventListener("mode", () => {
      canvas.dataset.mode = now.mode;
      toolbar.show({ mode: now.mode });
      if (now.facts) onFacts(now.facts);
    });
    toolbar.show({ turning: now.turning });
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const action = actionFor(event);
    if (!action || !viewer) return;
    event.preventDefault();
    const now = viewer;
    /** @type {Record<import("./keys.js").Action, () => void>} */
    const ways = {
      left: () => now.orbit(-TURN, 0),
      right: () => now.orbit(TURN, 0),
      up: () => now.orbit(0, TURN),
      down: () => now.orbit(0, -TURN),
      "pan-left": () => now.pan(-SHIFT, 0),
      "pan-right": () => now.pan(SHIFT, 0),
      "pan-up": () => now.pan(0, SHIFT),
      "pan-down": () => now.pan(0, -SHIFT),
      closer: () => now.zoom(STEP),
      farther: () => now.zoom(1 / STEP),
      frame: () => now.frame(),
      turn: () => (now.turning = !now.turning),
      textured: () => (now.mode = "textured"),
      clay: () => (now.mode = "clay"),
      wireframe: () => (now.mode = "wireframe"),
      normals: () => (now.mode = "normals"),
      screenshot: () => void keepPicture(),
      photo: togglePhoto,
      help: () => help.showModal(),
    };
    ways[action]();
  }

  async function keepPicture() {
    if (!viewer) return;
    try {
      await saveScreenshot(viewer, filename);
      announce("The picture is saved.");
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    }
  }

  function togglePhoto() {
    if (!artifacts.has("input.png")) return;
    const beside = !element.classList.contains("beside");
    photo.show(beside);
    element.classList.toggle("beside", beside);
    toolbar.show({ photo: beside });
  }

  async function toggleFullscreen() {
    try {
      await (document.fullscreenElement === element ? document.exitFullscreen() : element.requestFullscreen());
    } catch {
      announce("The browser does not allow full screen here.");
    }
  }

  document.addEventListener("fullscreenchange", () => toolbar.show({ fullscreen: document.fullscreenElement === element }), { signal });
  // Both only go along with the model: without them it is as good.
  artifacts.url("poster.webp").then(curtain.showPoster, () => undefined);
  photo.load().catch(() => undefined);
  void open();

  return {
    element,
    ready,
    dispose() {
      leaving.abort();
      viewer?.dispose();
      viewer = null;
      if (document.fullscreenElement === element) void document.exitFullscreen();
    },
  };
}

/**
 * The picture of a model in its studio, drawn whenever something has changed and never else.
 *
 * What happened is told by events: "drawn" (once, after the first picture), "lost" (the graphics card took its memory
 * away: nothing is left but to dispose of this and make another), "turning" (the turntable began or stopped), "mode".
 */

import { NeutralToneMapping, PerspectiveCamera, Raycaster, Vector2, WebGLRenderer } from "three";
import { followHands } from "./gestures.js";
import { Model } from "./model.js";
import { paletteOf, watchTheme } from "./palette.js";
import { Rig } from "./rig.js";
import { distanceFor } from "./stand.js";
import { Studio } from "./studio.js";

const FOV = 28;
const HOME = { azimuth: (24 * Math.PI) / 180, elevation: 0.16 };
/** radians a second: a turn takes half a minute */
const TURNTABLE = (2 * Math.PI) / 30;
/** more pixels than two for one of the page's cannot be told apart, and cost as much again */
const MOST_PIXELS = 2;
/** seconds a picture may stand for: after a pause nothing shall jump */
const LONGEST = 0.06;

/** @typedef {{ mode: import("./model.js").Mode, view: import("./rig.js").View }} Looks */

/** milliseconds between two looks whether the first picture is done */
const POLL = 20;

export class NoGraphics extends Error {}

export class Viewer extends EventTarget {
  #canvas;
  #renderer;
  #camera = new PerspectiveCamera(FOV, 1, 0.01, 100);
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #ending = new AbortController();
  /** @type {{ model: Model, studio: Studio, rig: Rig } | null} */
  #shown = null;
  #request = 0;
  #last = 0;
  #drawn = 0;
  #visible = true;
  #lost = false;
  #turning = false;
  /** radians the turntable still goes; it presents the model once, then rests, unless it was asked to go on */
  #toTurn = 0;

  /**
   * Raises NoGraphics.
   *
   * @param {HTMLCanvasElement} canvas fills its parent
   */
  constructor(canvas) {
    super();
    this.#canvas = canvas;
    const context = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
    if (!context) throw new NoGraphics("This browser has no WebGL 2.");
    this.#renderer = new WebGLRenderer({ canvas, context });
    this.#renderer.toneMapping = NeutralToneMapping;
    const { signal } = this.#ending;
    const resizing = new ResizeObserver(() => this.#resize());
    const seeing = new IntersectionObserver(([{ isIntersecting }]) => {
      this.#visible = isIntersecting;
      this.invalidate();
    });
    if (canvas.parentElement) resizing.observe(canvas.parentElement);
    seeing.observe(canvas);
    signal.addEventListener("abort", () => (resizing.disconnect(), seeing.disconnect()));
    document.addEventListener("visibilitychange", () => this.invalidate(), { signal });
    matchMedia("(resolution: 1dppx)").addEventListener("change", () => this.#resize(), { signal });
    canvas.addEventListener("webglcontextlost", (event) => this.#lose(event), { signal });
    watchTheme(() => this.#paint(), signal);
    this.#calm.addEventListener("change", () => this.#calm.matches && (this.turning = false), { signal });
    followHands(canvas, this, signal);
  }

  /**
   * @param {ArrayBuffer} glb raises what the loader raises when it is none
   * @param {Looks} [looks] as it was looked at before
   */
  async show(glb, looks) {
    const model = await Model.from(glb, Math.min(8, this.#renderer.capabilities.getMaxAnisotropy()));
    if (this.#ending.signal.aborted) return model.dispose();
    const studio = new Studio(this.#renderer, model);
    const { middle, foot, size, plinth, radius } = model.stand;
    const target = { x: middle.x - foot.x, y: (size.y - plinth.height) / 2, z: middle.z - foot.z };
    const reach = Math.max(size.y, 2 * radius);
    const rig = new Rig({ ...HOME, ...target, distance: distanceFor(model.stand, this.#fov, this.#camera.aspect) }, reach);
    this.#shown = { model, studio, rig };
    if (looks) {
      model.mode = looks.mode;
      rig.goal = { ...looks.view };
      rig.now = { ...looks.view };
    }
    this.#camera.near = reach * 0.02;
    this.#camera.far = reach * 40;
    this.#paint();
    this.#resize();
    this.#toTurn = 2 * Math.PI;
    this.#turning = !this.#calm.matches && !looks;
    this.#tell("turning");
  }

  /** What is known of the model once it is shown. */
  get facts() {
    if (!this.#shown) return null;
    const { model, studio } = this.#shown;
    return { vertices: model.vertices, faces: model.faces, picture: model.picture, size: model.stand.size, bytes: model.bytes + studio.bytes };
  }

  /** How it is looked at now; null before there is anything. */
  get looks() {
    return this.#shown && { mode: this.mode, view: { ...this.#shown.rig.goal } };
  }

  get turning() {
    return this.#turning;
  }

  set turning(turning) {
    if (turning === this.#turning) return;
    this.#turning = turning;
    this.#toTurn = Infinity;
    this.#tell("turning");
    this.invalidate();
  }

  get mode() {
    return this.#shown?.model.mode ?? "textured";
  }

  set mode(mode) {
    if (!this.#shown || mode === this.mode) return;
    this.#shown.model.mode = mode;
    this.#tell("mode");
    this.invalidate();
  }

  /** @param {number} stops of a camera: one more doubles the light */
  set exposure(stops) {
    this.#renderer.toneMappingExposure = 2 ** stops;
    this.invalidate();
  }

  /** @param {number} angle radians */
  set light(angle) {
    this.#shown?.studio.turnLight(angle);
    this.invalidate();
  }

  /** @param {number} right @param {number} up */
  orbit(right, up) {
    this.#move((rig) => rig.orbit(right, up));
  }

  /** @param {number} right @param {number} up shares of the picture's height */
  pan(right, up) {
    const height = 2 * Math.tan(this.#fov / 2);
    this.#move((rig) => rig.pan(right * height, up * height));
  }

  /** @param {number} factor */
  zoom(factor) {
    this.#move((rig) => rig.zoom(factor));
  }

  frame() {
    this.#move((rig) => rig.frame());
  }

  /** @param {number} x @param {number} y of the picture, -1..1 */
  focus(x, y) {
    const caster = new Raycaster();
    caster.setFromCamera(new Vector2(x, y), this.#camera);
    const hit = caster.intersectObjects(this.#shown?.model.meshes ?? [], false)[0];
    if (hit) this.#move((rig) => rig.focus(hit.point));
  }

  /**
   * The view as a picture, larger than on the screen.
   *
   * @param {number} side pixels of its longer side, at least twice what the page has
   * @returns {Promise<Blob>} PNG
   */
  capture(side) {
    const { clientWidth, clientHeight } = this.#canvas;
    const most = this.#renderer.capabilities.maxTextureSize / Math.max(clientWidth, clientHeight);
    const scale = Math.min(most, Math.max(2, side / Math.max(clientWidth, clientHeight)));
    this.#renderer.setPixelRatio(scale);
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#render();
    /** @type {Promise<Blob>} */
    const picture = new Promise((resolve, reject) => {
      this.#canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be made."))), "image/png");
    });
    this.#resize();
    return picture;
  }

  /** Draw again as soon as the screen is ready for it. */
  invalidate() {
    if (this.#request || this.#lost || !this.#shown || !this.#visible || document.hidden || this.#ending.signal.aborted) return;
    this.#request = requestAnimationFrame((now) => this.#draw(now));
  }

  dispose() {
    this.#ending.abort();
    cancelAnimationFrame(this.#request);
    this.#shown?.studio.dispose();
    this.#shown?.model.dispose();
    this.#shown = null;
    this.#renderer.dispose();
    const { geometries, textures } = this.#renderer.info.memory;
    Object.assign(this.#canvas.dataset, { gpuBytes: "0", geometries: String(geometries), textures: String(textures) });
    if (!this.#lost) this.#renderer.forceContextLoss();
  }

  get #fov() {
    return (FOV * Math.PI) / 180;
  }

  /** @param {(rig: Rig) => void} how by hand: the turntable leaves the model to whoever takes it */
  #move(how) {
    if (!this.#shown) return;
    this.turning = false;
    how(this.#shown.rig);
    this.invalidate();
  }

  /** @param {number} now milliseconds */
  #draw(now) {
    this.#request = 0;
    if (!this.#shown || this.#lost) return;
    const seconds = Math.min(LONGEST, Math.max(0, (now - this.#last) / 1000));
    this.#last = now;
    const { rig } = this.#shown;
    if (this.#turning) {
      const way = Math.min(this.#toTurn, seconds * TURNTABLE);
      this.#toTurn -= way;
      rig.goal.azimuth -= way;
      rig.now.azimuth -= way;
      if (this.#toTurn <= 0) this.turning = false;
    }
    const moving = rig.step(this.#calm.matches ? Infinity : seconds);
    this.#render();
    this.#canvas.dataset.framesDrawn = String((this.#drawn += 1));
    this.#canvas.dataset.gpuBytes = String(this.facts?.bytes ?? 0);
    if (this.#drawn === 1) void this.#settle();
    else if (moving || this.#turning) this.invalidate();
  }

  /** Commands are only queued when they are given: the first picture is there once the graphics card has done them. */
  async #settle() {
    const context = /** @type {WebGL2RenderingContext} */ (this.#renderer.getContext());
    const fence = context.fenceSync(context.SYNC_GPU_COMMANDS_COMPLETE, 0);
    context.flush();
    while (fence && !this.#lost && !this.#ending.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, POLL));
      const state = context.getSyncParameter(fence, context.SYNC_STATUS);
      if (state !== context.UNSIGNALED) break;
    }
    if (this.#lost || this.#ending.signal.aborted) return;
    context.deleteSync(fence);
    this.#last = performance.now();
    this.#tell("drawn");
    this.invalidate();
  }

  #render() {
    if (!this.#shown) return;
    const { studio, rig } = this.#shown;
    const position = rig.position();
    this.#camera.position.set(...position);
    this.#camera.lookAt(rig.now.x, rig.now.y, rig.now.z);
    studio.seenFrom(position);
    this.#renderer.render(studio.scene, this.#camera);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (!clientWidth || !clientHeight || this.#lost) return;
    this.#renderer.setPixelRatio(Math.min(MOST_PIXELS, window.devicePixelRatio));
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#camera.aspect = clientWidth / clientHeight;
    this.#camera.updateProjectionMatrix();
    if (!this.#shown) return;
    this.#shown.rig.refit(distanceFor(this.#shown.model.stand, this.#fov, this.#camera.aspect));
    if (this.#drawn > 0) this.#render(); // at once: a canvas that was resized is empty
    this.invalidate();
  }

  #paint() {
    if (!this.#shown) return;
    const palette = paletteOf(this.#canvas.parentElement ?? this.#canvas);
    this.#shown.studio.paint(palette);
    this.#shown.model.paint(palette);
    this.invalidate();
  }

  /** @param {Event} event */
  #lose(event) {
    event.preventDefault(); // else it never comes back
    this.#lost = true;
    this.#tell("lost");
  }

  /** @param {"drawn" | "lost" | "turning" | "mode"} what */
  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

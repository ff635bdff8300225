/** The bench under the model: how it is drawn, how it is lit, what to do with it. */

import { h, setText } from "../ui/dom.js";
import { glyph } from "./glyphs.js";
import { MODES } from "./modes.js";

/**
 * @typedef {object} Tools
 * @property {(mode: import("./modes.js").Mode) => void} setMode
 * @property {(stops: number) => void} setExposure
 * @property {(degrees: number) => void} setLight
 * @property {() => void} frame
 * @property {() => void} toggleTurning
 * @property {(() => void) | null} togglePhoto null: there is no photo
 * @property {() => void} screenshot
 * @property {(() => void) | null} toggleFullscreen null: not in this browser
 * @property {() => void} help
 */

/** @param {Tools} tools */
export function createToolbar(tools) {
  const modes = MODES.map(([mode, label], k) => {
    const input = h("input", { type: "radio", name: "turn-mode", value: mode, checked: k === 0, onchange: () => tools.setMode(mode) });
    return { mode, input, element: h("label", { class: "segment" }, input, h("span", null, label)) };
  });
  const turning = button("turntable", "Rotate", "R", tools.toggleTurning, false);
  const photo = tools.togglePhoto && button("photo", "Photo beside it", "P", tools.togglePhoto, false);
  const full = tools.toggleFullscreen && button("fullscreen", "Full screen", null, tools.toggleFullscreen, false);
  const element = h(
    "div",
    { class: "bench", inert: true },
    h("fieldset", { class: "segments" }, h("legend", { class: "visually-hidden" }, "Surface"), ...modes.map((one) => one.element)),
    h(
      "div",
      { class: "bench-light" },
      slider("exposure", "Exposure", { min: -2, max: 2, step: 0.1 }, stops, tools.setExposure),
      slider("lamp", "Light from", { min: -180, max: 180, step: 5 }, degrees, tools.setLight),
    ),
    h(
      "div",
      { class: "bench-tools", role: "group", "aria-label": "Tools" },
      button("frame", "Show all of it", "F", tools.frame),
      turning,
      photo,
      button("shutter", "Save a picture", "S", tools.screenshot),
      full,
      button("help", "Keys and gestures", "?", tools.help),
    ),
  );
  return {
    element,

    /** @param {{ mode?: string, turning?: boolean, photo?: boolean, fullscreen?: boolean }} state */
    show(state) {
      if (state.mode) for (const { mode, input } of modes) input.checked = mode === state.mode;
      if (state.turning !== undefined) turning.setAttribute("aria-pressed", String(state.turning));
      if (state.photo !== undefined) photo?.setAttribute("aria-pressed", String(state.photo));
      if (state.fullscreen !== undefined) full?.setAttribute("aria-pressed", String(state.fullscreen));
    },
  };
}

/**
 * @param {import("./glyphs.js").Glyph} picture
 * @param {string} label
 * @param {string | null} key that does the same
 * @param {() => void} onclick
 * @param {boolean} [pressed] for what stays switched on
 */
function button(picture, label, key, onclick, pressed) {
  const title = key ? `${label} (${key})` : label;
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title, "aria-pressed": pressed === undefined ? null : String(pressed), onclick }, glyph(picture));
}

/**
 * @param {import("./glyphs.js").Glyph} picture
 * @param {string} label
 * @param {{ min: number, max: number, step: number }} range around 0, where a double click brings it back to
 * @param {(value: number) => string} inWords
 * @param {(value: number) => void} onInput
 */
function slider(picture, label, range, inWords, onInput) {
  const output = h("output", { "aria-hidden": "true" }, inWords(0));
  const input = h("input", { type: "range", ...range, value: 0, "aria-label": label, "aria-valuetext": inWords(0), oninput: told, ondblclick: reset });
  return h("label", { class: "bench-slider", title: `${label}; double click: as it was` }, glyph(picture), input, output);

  function told() {
    const value = Number(input.value);
    setText(output, inWords(value));
    input.setAttribute("aria-valuetext", inWords(value));
    onInput(value);
  }

  function reset() {
    input.value = "0";
    told();
  }
}

/**
 * @param {number} value of exposure
 * @returns {string} "+0.3"
 */
export function stops(value) {
  const size = Math.abs(value).toFixed(1);
  return size === "0.0" ? "±0" : `${value > 0 ? "+" : "−"}${size}`;
}

/**
 * @param {number} value
 * @returns {string} "−45°"
 */
export function degrees(value) {
  return `${value < 0 ? "−" : ""}${Math.abs(value)}°`;
}

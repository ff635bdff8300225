/** Drag, wheel and pinch: what hands do to the model. */

/** radians for a drag across the whole height of the picture */
const TURN = 1.7 * Math.PI;
/** of the wheel's pixels; a pinch on a touchpad comes as small steps with Ctrl */
const WHEEL = 0.0011;
const TOUCHPAD = 0.012;
/** pixels in a line of text, for wheels that count lines */
const LINE = 18;

/**
 * @typedef {object} Hands
 * @property {(right: number, up: number) => void} orbit radians
 * @property {(right: number, up: number) => void} pan shares of the picture's height
 * @property {(factor: number) => void} zoom
 * @property {(x: number, y: number) => void} focus a point of the picture, -1..1, y upwards
 */

/**
 * @param {HTMLElement} surface
 * @param {Hands} hands
 * @param {AbortSignal} signal ends it
 */
export function followHands(surface, hands, signal) {
  /** @type {Map<number, { x: number, y: number }>} */
  const down = new Map();
  let panning = false;

  surface.addEventListener("pointerdown", (event) => {
    if (event.button > 2) return;
    surface.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    panning = event.button !== 0 || event.shiftKey || event.ctrlKey || event.metaKey;
    surface.dataset.held = panning ? "pan" : "turn";
  }, { signal }); // prettier-ignore

  surface.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) return;
    const height = Math.max(1, surface.clientHeight);
    const before = spread(down);
    const moved = { x: (event.clientX - last.x) / height, y: (event.clientY - last.y) / height };
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size > 1) {
      hands.pan(moved.x / down.size, -moved.y / down.size);
      hands.zoom(before / Math.max(1, spread(down)));
    } else if (panning) hands.pan(moved.x, -moved.y);
    else hands.orbit(-moved.x * TURN, moved.y * TURN);
  }, { signal }); // prettier-ignore

  for (const name of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
    surface.addEventListener(name, ({ pointerId }) => {
      down.delete(pointerId);
      if (down.size === 0) delete surface.dataset.held;
    }, { signal }); // prettier-ignore
  }

  surface.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * LINE;
    hands.zoom(Math.exp(pixels * (event.ctrlKey ? TOUCHPAD : WHEEL)));
  }, { signal, passive: false }); // prettier-ignore

  surface.addEventListener("dblclick", ({ offsetX, offsetY }) => {
    hands.focus((offsetX / surface.clientWidth) * 2 - 1, 1 - (offsetY / surface.clientHeight) * 2);
  }, { signal }); // prettier-ignore

  surface.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
}

/**
 * @param {Map<number, { x: number, y: number }>} points
 * @returns {number} pixels between the first two
 */
function spread(points) {
  const [a, b] = [...points.values()];
  return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 1;
}

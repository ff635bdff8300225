/** The studio's colours as the stylesheet has them at this moment, and a word when they change. */

/** @typedef {[red: number, green: number, blue: number]} Color sRGB, 0..1 */
/** @typedef {{ high: Color, low: Color, plinth: Color, ink: Color, dark: boolean }} Palette */

/**
 * @param {HTMLElement} element within the page whose colours are wanted
 * @returns {Palette}
 */
export function paletteOf(element) {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  /** @param {string} name */
  function read(name) {
    probe.style.color = `var(${name})`;
    if (!pixel) return /** @type {Color} */ ([0.5, 0.5, 0.5]); // a browser without any canvas has no viewer either
    pixel.fillStyle = getComputedStyle(probe).color;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
    return /** @type {Color} */ ([red / 255, green / 255, blue / 255]);
  }
  const [high, low, plinth, ink] = ["--backdrop-high", "--backdrop-low", "--plinth", "--text"].map(read);
  probe.remove();
  return { high, low, plinth, ink, dark: low[1] < 0.5 };
}

/**
 * @param {() => void} onChange
 * @param {AbortSignal} signal ends it
 */
export function watchTheme(onChange, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange, { signal });
  const observer = new MutationObserver(onChange);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  signal.addEventListener("abort", () => observer.disconnect());
}

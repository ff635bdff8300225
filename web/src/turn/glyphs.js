/** Line icons of the viewer's tools, on a grid of 24, drawn for this site. */

import { drawing } from "../ui/icons.js";

const PATHS = {
  frame: "M4 9V4.5h4.5M15.5 4.5H20V9M20 15v4.5h-4.5M8.5 19.5H4V15M12 9.2v5.6M9.2 12h5.6",
  turntable: "M20 11.5c0 2.5-3.6 4.5-8 4.5s-8-2-8-4.5S7.6 7 12 7c2 0 3.8.4 5.2 1.1M17.8 4.8l-.4 3.5-3.5-.2M12 16v4M8.5 20h7",
  photo: "M4 5.5h10.5v13H4zM17.5 7.5 20 8v11l-5-.8M4.5 16l3.2-4 2.6 3 1.7-1.8 2.3 2.8M11 9.8a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
  shutter: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
  fullscreen: "M9 4.5H4.5V9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15",
  help: "M9 9.2A3 3 0 1 1 13.4 12c-.9.5-1.4 1.1-1.4 2.2M12 17.4v.2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
  exposure: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4",
  lamp: "M8 4.5h8l2.5 7.5h-13zM12 12v5M8.5 19.5h7M15.5 12v2.5",
  close: "M6 6l12 12M18 6 6 18",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19.5 4v4.5H15",
  room: "M12 3.5 20 8v8l-8 4.5L4 16V8zM4 8l8 4.5L20 8M12 12.5v8",
};

/** @typedef {keyof typeof PATHS} Glyph */

/**
 * A decoration: the control that holds it needs a name of its own.
 *
 * @param {Glyph} name
 * @returns {SVGElement}
 */
export function glyph(name) {
  return drawing(PATHS[name]);
}

/** Line icons on a grid of 24, drawn for this site. */

const PATHS = {
  back: "M14.5 5.5 8 12l6.5 6.5",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
  chevron: "M6 9.5l6 6 6-6",
  close: "M6 6l12 12M18 6 6 18",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
  link: "M10 14a4 4 0 0 0 6 .4l2.8-2.8a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-2.8 2.8a4 4 0 0 0 5.7 5.7L12 17",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19.5 4v4.5H15",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7M10.3 10.5v5.5M13.7 10.5v5.5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4",
  moon: "M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z",
  half: "M12 4a8 8 0 1 0 0 16V4zM12 4a8 8 0 0 1 0 16",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * A decoration: the control that holds it needs a name of its own.
 *
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return drawing(PATHS[name]);
}

/**
 * @param {string} line an SVG path on a grid of 24
 * @returns {SVGElement}
 */
export function drawing(line) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", line);
  svg.append(path);
  return svg;
}

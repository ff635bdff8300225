/** One polite live region: what happens without being looked at is said here. */

const region = document.createElement("p");
region.className = "visually-hidden";
region.setAttribute("role", "status");

/** @param {Element} parent */
export function mountAnnouncer(parent) {
  parent.append(region);
}

/** @param {string} sentence */
export function announce(sentence) {
  region.textContent = sentence;
}

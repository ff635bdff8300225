/**
 * Save what lies at an address as a file.
 *
 * @param {string} url
 * @param {string} name
 */
export function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.rel = "noopener";
  document.body.append(link);
  link.click();
  link.remove();
}

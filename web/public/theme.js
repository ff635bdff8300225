// Before the first paint, so that nobody who chose a theme sees the other one flash by.
(() => {
  try {
    const chosen = localStorage.getItem("maquette.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is blocked: the system's theme it is.
  }
})();

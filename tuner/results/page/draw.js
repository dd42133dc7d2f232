"use strict";
/* Draws the figures of a page in the reader's colours, one after the other so that the page answers meanwhile. */
(() => {
  const parse = (id) => JSON.parse(document.getElementById(id).textContent);
  const templates = parse("templates");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll("[data-figure]")];
  const config = {
    displaylogo: false,
    responsive: true,
    displayModeBar: "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    showTips: false,
  };
  const template = (isDark) => (isDark ? templates.dark : templates.light);

  function draw(place, isDark) {
    const figure = parse(place.dataset.figure);
    figure.layout.template = template(isDark);
    return Plotly.react(place, figure.data, figure.layout, config);
  }

  async function drawAll(isDark) {
    for (const place of places) {
      await draw(place, isDark);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.drawn = isDark ? "dark" : "light";
  }

  dark.addEventListener("change", () => drawAll(dark.matches));
  // Paper is white.
  addEventListener("beforeprint", () => places.forEach((place) => draw(place, false)));
  addEventListener("afterprint", () => drawAll(dark.matches));
  drawAll(dark.matches);
})();

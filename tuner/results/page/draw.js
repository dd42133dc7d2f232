"use strict";
/* Draws the figures of a page in the reader's colours, one after the other so that the page answers meanwhile. */
addEventListener("plotly", () => {
  const parse = (id) => JSON.parse(document.getElementById(id).textContent);
  const templates = parse("templates");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll("[data-figure]")];
  const template = (isDark) => (isDark ? templates.dark : templates.light);

  const narrow = matchMedia("(max-width: 640px)");

  function draw(place, isDark, isNarrow) {
    const figure = parse(place.dataset.figure);
    return Plotly.react(place, figure.data, layoutOf(figure, template(isDark), isNarrow), FIGURE_CONFIG);
  }

  async function drawAll() {
    const [isDark, isNarrow] = [dark.matches, narrow.matches];
    for (const place of places) {
      await draw(place, isDark, isNarrow);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.drawn = isDark ? "dark" : "light";
  }

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  // Paper is white.
  addEventListener("beforeprint", () => places.forEach((place) => draw(place, false, false)));
  addEventListener("afterprint", drawAll);
  drawAll();
});

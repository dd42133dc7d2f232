"use strict";
/* Draws the figures of a page in the reader's colours, one after the other so that the page answers meanwhile. */
const PAPER_WIDTH = 700; /* pixels; A4 between its margins has 718, Letter 740 */

addEventListener("plotly", () => {
  const parse = (id) => JSON.parse(document.getElementById(id).textContent);
  const templates = parse("templates");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll("[data-figure]")];
  const template = (isDark) => (isDark ? templates.dark : templates.light);

  const narrow = matchMedia("(max-width: 640px)");

  function draw(place, isDark, isNarrow, changes = {}) {
    const figure = parse(place.dataset.figure);
    const layout = { ...layoutOf(figure, template(isDark), isNarrow), ...changes };
    return Plotly.react(place, figure.data, layout, FIGURE_CONFIG);
  }

  let round = 0; /* a later one ends those before it */

  async function drawAll() {
    const mine = ++round;
    const [isDark, isNarrow] = [dark.matches, narrow.matches];
    for (const place of places) {
      if (mine !== round) return;
      await draw(place, isDark, isNarrow);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.drawn = isDark ? "dark" : "light";
  }

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  // Paper is white, and narrower than a screen.
  addEventListener("beforeprint", () => {
    ++round;
    places.forEach((place) => draw(place, false, false, { width: PAPER_WIDTH }));
  });
  addEventListener("afterprint", drawAll);
  drawAll();
});

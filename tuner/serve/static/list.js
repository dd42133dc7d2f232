"use strict";
/* The list of runs, the newest first. */
(() => {
  const lines = new Map();
  const body = document.querySelector("#runs tbody");

  function row(line) {
    const state = element("span", { class: `state ${line.state}` }, STATES[line.state] ?? line.state);
    const link = element("a", { href: `/runs/${encodeURIComponent(line.name)}` }, line.name);
    const began = line.began ? new Date(1000 * line.began) : null;
    const cell = (label, text, kind) =>
      element("td", { "data-label": label, ...(kind && { class: kind }) }, ...(text ? [text] : []));
    const when = began && element("time", { datetime: began.toISOString() }, began.toLocaleString());
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, link),
      element("td", {}, state),
      cell("What is tuned", line.what),
      cell("Best", line.best && `${line.best} ${line.words}`),
      cell("Trials", line.trials === undefined ? "" : String(line.trials), "number"),
      cell("Time", line.elapsed === undefined ? "" : duration(line.elapsed), "number"),
      cell("Began", when),
    );
  }

  function draw() {
    const sorted = [...lines.values()].sort((a, b) => (b.began ?? Infinity) - (a.began ?? Infinity));
    const focused = document.activeElement?.getAttribute("href");
    body.replaceChildren(...sorted.map(row));
    if (focused) body.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    show(byId("runs"), sorted.length > 0);
  }

  let settings = { location: "" };
  let isWaiting = false;
  const drawSoon = () => {
    if (!isWaiting) requestAnimationFrame(() => { isWaiting = false; draw(); });
    isWaiting = true;
  };

  listen("/api/runs", {
    order({ names }) {
      const kept = new Set(names);
      for (const name of lines.keys()) if (!kept.has(name)) lines.delete(name);
      show(byId("empty"), names.length === 0);
      drawSoon();
    },
    run(line) {
      lines.set(line.name, line);
      drawSoon();
    },
    problem: tellProblem,
  });

  fetch("/static/settings.json").then((answer) => answer.json()).then((found) => {
    settings = found;
    byId("location").textContent = settings.location;
    byId("start").textContent = `tuner run --storage ${settings.location}`;
  });
})();

"use strict";
/* One run: its head, which follows every event, and its views, each redrawn when it has changed and can be seen. */
(() => {
  const name = decodeURIComponent(location.pathname.split("/")[2]);
  const address = `/api/runs/${encodeURIComponent(name)}`;
  document.title = `${name} - tuner`;
  byId("name").textContent = name;

  /* The head. */

  let status = null;
  let canTry = false;

  function offerToTry() {
    byId("try").href = `/runs/${encodeURIComponent(name)}/try`;
    show(byId("try-box"), canTry && status?.state === "finished");
  }

  function drawHead(found) {
    status = found;
    const state = byId("state");
    state.textContent = STATES[found.state] ?? found.state;
    state.className = `state ${found.state}`;
    show(byId("now"), true);
    byId("stage").textContent = stageLine(found);
    byId("marks").replaceChildren(...marks(found).map(mark));
    drawLadder(found);
    drawRunning(found);
    offerToTry();
    byId("logs").href = `/runs/${encodeURIComponent(name)}/logs`;
    show(byId("logs-box"), found.logs === true);
    tick();
  }

  function stageLine(found) {
    if (found.state === "waiting") return "The run has not begun yet.";
    const warm = found.warm ? ` It began with the trials of ${found.warm}.` : "";
    return `${found.stage}.${warm}`;
  }

  function marks(found) {
    const counts = Object.entries(found.counts ?? {}).map(([state, count]) => `${count} ${state}`).join(", ");
    const isSearching = found.state !== "finished" && found.stage === "Searching";
    const expected = isSearching && found.expected ? ` of about ${found.expected}` : "";
    const trials = found.trials === undefined ? [] : [{ label: "Trials", value: `${found.trials}${expected}`, detail: counts }];
    return [...(found.marks ?? []), ...trials];
  }

  const mark = ({ label, value, detail }) => element(
    "li",
    {},
    element("span", { class: "label" }, label),
    element("span", { class: "value" }, value),
    element("span", { class: "detail" }, detail),
  );

  function tick() {
    if (status?.elapsed === undefined) return;
    const passed = status.state === "running" ? Math.max(0, now() - status.heard) : 0;
    const elapsed = status.elapsed + passed;
    const parts = [`${duration(elapsed)} worked`];
    if (status.left !== null && status.left !== undefined) {
      const left = status.left - passed;
      parts.push(left > 1 ? `about ${duration(left)} left` : "longer than planned");
    }
    if (status.state !== "finished" && now() - status.heard > 5) {
      parts.push(`last word ${duration(now() - status.heard)} ago`);
    }
    byId("left").dataset.heard = String(status.heard);
    byId("left").textContent = parts.join(" · ");
    const left = Math.max(0, (status.left ?? 0) - passed);
    const percent = status.state === "finished" ? 100 : Math.min(99, (100 * elapsed) / Math.max(1e-9, elapsed + left));
    const bar = byId("bar");
    show(bar, status.left !== null || status.state === "finished");
    bar.setAttribute("aria-valuenow", String(Math.round(percent)));
    bar.firstElementChild.style.width = `${percent}%`;
  }
  setInterval(tick, 1000);

  function drawLadder({ ladder = [] }) {
    const most = Math.max(1, ...ladder.map((rung) => rung.reached + rung.climbing));
    byId("ladder").replaceChildren(...ladder.map((rung) => rungLine(rung, most)));
    show(byId("ladder-box"), ladder.length > 0);
  }

  function rungLine(rung, most) {
    const kinds = ["passed", "paused", "stopped", "climbing"];
    const track = element("div", { class: "track", "aria-hidden": "true" });
    for (const kind of kinds.filter((one) => rung[one] > 0)) {
      const part = element("div", { class: kind });
      part.style.width = `${(100 * rung[kind]) / most}%`;
      track.append(part);
    }
    const epochs = `${rung.epoch} epoch${rung.epoch === 1 ? "" : "s"}`;
    const said = rung.reached ? `${rung.reached}, best ${rung.best}` : rung.climbing ? `${rung.climbing} on the way` : "nobody yet";
    return element("li", {}, element("span", {}, epochs), track, element("span", { class: "said" }, said));
  }

  function drawRunning({ running = [], counts = {} }) {
    const all = running.flatMap((one) => one.values.map((pair) => pair[1]));
    const range = all.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
    byId("running").replaceChildren(...running.map((one) => runningLine(one, range)));
    show(byId("running-box"), running.length > 0);
    const more = (counts.running ?? 0) - running.length;
    const place = byId("more-running");
    show(place, running.length > 0 && more > 0);
    place.textContent = `and ${more} more`;
  }

  function runningLine(one, range) {
    const last = one.values.at(-1)?.[0] ?? 0;
    const of = one.of ? ` of at most ${one.of}` : "";
    const retries = one.retries ? `, taken up again ${one.retries} time${one.retries === 1 ? "" : "s"}` : "";
    const where = last ? `epoch ${last}${of}` : "first epoch";
    return element(
      "li",
      {},
      element("span", { class: "title" }, element("strong", {}, one.title), ` ${where}${retries}`),
      sparkline(one, range),
      element("span", { class: "value" }, one.text ?? ""),
      one.hparams ? element("span", { class: "hparams", title: one.hparams }, one.hparams) : null,
    );
  }

  function sparkline({ values, of, title }, [low, high]) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 100 24");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const last = Math.max(of ?? 0, values.at(-1)?.[0] ?? 1, 2);
    const points = values.map(([epoch, value]) => [
      (100 * (epoch - 1)) / (last - 1),
      high > low ? 22 - (20 * (value - low)) / (high - low) : 12,
    ]);
    const path = document.createElementNS(space, "path");
    // A single point is drawn as a short line.
    const [first] = points;
    const drawn = points.length === 1 ? [first, [first[0] + 4, first[1]]] : points;
    path.setAttribute("d", drawn.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join(""));
    svg.append(path);
    return svg;
  }

  /* The views. */

  const views = new Map();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");
  let templates = null;
  const waiting = new Set();
  let isDrawing = false;

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const shown = views.get(target.dataset.view);
      if (!shown) continue;
      shown.isSeen = isIntersecting;
      if (isIntersecting && shown.isOld) drawSoon(shown);
    }
  }, { rootMargin: "300px" });

  function drawSoon(shown) {
    waiting.add(shown);
    drawNext();
  }

  /* One after the other, so that the page answers meanwhile. */
  async function drawNext() {
    if (isDrawing || !templates || !window.Plotly) return;
    isDrawing = true;
    while (waiting.size) {
      const [shown] = waiting;
      waiting.delete(shown);
      shown.isOld = false;
      const began = performance.now();
      try {
        await Plotly.react(shown.place, shown.figure.data, laidOut(shown), FIGURE_CONFIG);
      } catch (error) {
        console.error(`${shown.id} cannot be drawn`, error);
      }
      shown.place.dataset.drawn = String(Math.round(performance.now() - began));
      await new Promise((done) => setTimeout(done));
    }
    isDrawing = false;
  }

  function laidOut({ id, figure }) {
    const template = dark.matches ? templates.dark : templates.light;
    // The same revision: what is zoomed into stays so.
    return { ...layoutOf(figure, template, narrow.matches), uirevision: id };
  }

  function redrawAll() {
    for (const shown of views.values()) {
      if (!shown.figure) continue;
      shown.isOld = true;
      if (shown.isSeen) drawSoon(shown);
    }
  }
  dark.addEventListener("change", redrawAll);
  narrow.addEventListener("change", redrawAll);

  function take(view) {
    const text = JSON.stringify(view);
    const shown = views.get(view.id) ?? { id: view.id, section: newSection(view.id), place: null };
    views.set(view.id, shown);
    if (shown.text === text) return; // after the connection was lost, all is sent again
    shown.text = text;
    fill(shown, view);
  }

  const newSection = (id) => element("section", { id, "aria-labelledby": `${id}-title` });

  function fill(shown, view) {
    const { section } = shown;
    const title = `${view.id}-title`;
    if (view.figure && !shown.place) {
      shown.place = element("div", { class: "figure", role: "group", "aria-label": view.title, "data-view": view.id });
      shown.place.style.minHeight = `${view.figure.layout?.height ?? 200}px`;
    }
    const isOpen = section.querySelector("details")?.open ?? false;
    const parts = [
      element("h2", { id: title }, view.title),
      ...view.text.map((paragraph) => element("p", {}, paragraph)),
      view.preformatted ? element("pre", { tabindex: "0" }, view.preformatted) : null,
      view.figure ? shown.place : null,
      view.pictures.length ? pictures(view.pictures) : null,
      view.table ? table(view.table, title, isOpen) : null,
      view.note ? element("p", { class: "note" }, view.note) : null,
    ].filter(Boolean);
    if (shown.place?.parentNode === section && view.figure) {
      // Taken out and put back, a figure would lose where the reader has zoomed to.
      for (const child of [...section.children]) if (child !== shown.place) child.remove();
      let isBehind = false;
      for (const part of parts) {
        if (part === shown.place) isBehind = true;
        else if (isBehind) section.append(part);
        else section.insertBefore(part, shown.place);
      }
    } else {
      section.replaceChildren(...parts);
    }
    shown.figure = view.figure ?? null;
    shown.isOld = Boolean(view.figure);
    if (view.figure) {
      seen.observe(shown.place);
      if (shown.isSeen) drawSoon(shown);
    }
  }

  function table({ header, rows, left }, title, isOpen) {
    const kind = (column) => (column >= left ? { class: "number" } : {});
    const made = element("table", header.length ? {} : { class: "fields" });
    if (header.length) {
      const cells = header.map((text, column) =>
        text ? element("th", { scope: "col", ...kind(column) }, text) : element("td", kind(column)));
      made.append(element("thead", {}, element("tr", {}, ...cells)));
    }
    const lines = rows.map((row) => element("tr", {}, ...row.map((text, column) =>
      column ? element("td", kind(column), text) : element("th", { scope: "row", ...kind(column) }, text))));
    made.append(element("tbody", {}, ...lines));
    const place = element("div", { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": title }, made);
    if (header.length || rows.length <= 12) return place;
    return element("details", isOpen ? { open: "" } : {}, element("summary", {}, `${rows.length} settings`), place);
  }

  function pictures(all) {
    const items = all.map(({ source, caption }) => {
      const image = element("img", { alt: "" });
      if (source.startsWith("data:image/")) image.src = source;
      return element("li", {}, element("figure", {}, image, element("figcaption", {}, caption)));
    });
    return element("ul", { class: "pictures" }, ...items);
  }

  let order = [];

  function arrange() {
    const place = byId("views");
    for (const [id, shown] of views) {
      if (order.includes(id)) continue;
      if (shown.place) {
        seen.unobserve(shown.place);
        window.Plotly?.purge(shown.place);
      }
      shown.section.remove();
      views.delete(id);
    }
    let behind = null;
    for (const id of order) {
      const section = views.get(id)?.section;
      if (!section) continue;
      const next = behind ? behind.nextElementSibling : place.firstElementChild;
      if (next !== section) place.insertBefore(section, next);
      behind = section;
    }
    const links = order.filter((id) => views.has(id)).map((id) =>
      element("li", {}, element("a", { href: `#${id}` }, byId(`${id}-title`)?.textContent ?? id)));
    const list = document.querySelector("#contents ul");
    if (list.textContent !== links.map((link) => link.textContent).join("")) list.replaceChildren(...links);
    show(byId("contents"), links.length > 0);
  }

  let isArranging = false;
  function arrangeSoon() {
    if (!isArranging) requestAnimationFrame(() => { isArranging = false; arrange(); });
    isArranging = true;
  }

  listen(address, {
    status: drawHead,
    problem: tellProblem,
    order({ ids }) {
      order = ids;
      arrangeSoon();
    },
    view(view) {
      take(view);
      arrangeSoon();
    },
  });

  const json = (path) => fetch(path).then((answer) => answer.json());
  json("/static/templates.json").then((found) => {
    templates = found;
    drawNext();
  });
  json("/static/settings.json").then((settings) => {
    canTry = settings.try;
    offerToTry();
  });
  byId("plotly").addEventListener("load", drawNext);
})();

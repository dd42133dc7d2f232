"use strict";
/* A picture, drawn or dropped, goes to the run's model; what comes back are its probabilities. */
(() => {
  const name = decodeURIComponent(location.pathname.split("/")[2]);
  const address = `/api/runs/${encodeURIComponent(name)}`;
  const board = byId("board");
  const pen = board.getContext("2d");
  let file = null;
  document.title = `${name}: try the model - tuner`;
  byId("back").href = `/runs/${encodeURIComponent(name)}`;

  function clear() {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, board.width, board.height);
    file = null;
    byId("file").value = "";
    byId("answer").textContent = "Draw something.";
    byId("probabilities").replaceChildren();
    show(byId("seen-box"), false);
    tellProblem({ text: "" });
  }

  const point = (event) => {
    const box = board.getBoundingClientRect();
    return [((event.clientX - box.left) * board.width) / box.width, ((event.clientY - box.top) * board.height) / box.height];
  };

  let isDown = false;
  board.addEventListener("pointerdown", (event) => {
    if (file !== null) clear();
    isDown = true;
    board.setPointerCapture(event.pointerId);
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: 22, lineCap: "round", lineJoin: "round" });
    const [x, y] = point(event);
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + 0.1, y);
    pen.stroke();
  });
  board.addEventListener("pointermove", (event) => {
    if (!isDown) return;
    pen.lineTo(...point(event));
    pen.stroke();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    board.addEventListener(end, () => {
      if (isDown) board.toBlob((drawn) => ask(drawn, false));
      isDown = false;
    });
  }

  /* One question at a time; of several that wait, the last counts. */
  let isAsking = false;
  let next = null;

  async function ask(picture, isInverted) {
    if (isAsking) {
      next = [picture, isInverted];
      return;
    }
    isAsking = true;
    try {
      const answer = await fetch(`${address}/predict?invert=${isInverted ? 1 : 0}`, { method: "POST", body: picture });
      const found = await answer.json();
      tellProblem({ text: answer.ok ? "" : found.error });
      if (answer.ok) tell(found);
    } catch {
      tellProblem({ text: "The server does not answer." });
    }
    isAsking = false;
    if (next) {
      const [waiting, itsInverted] = next;
      next = null;
      ask(waiting, itsInverted);
    }
  }

  const percent = (share) => `${(100 * share).toFixed(1)}%`;

  function tell(found) {
    byId("answer").textContent = `${found.class} (${percent(found.probability)})`;
    const sorted = Object.entries(found.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 10);
    byId("probabilities").replaceChildren(...sorted.map(([label, share]) => {
      const part = element("div");
      part.style.width = percent(share);
      const track = element("div", { class: "track", "aria-hidden": "true" }, part);
      return element("li", {}, element("span", {}, label), track, element("span", { class: "value" }, percent(share)));
    }));
    byId("seen").src = found.seen;
    show(byId("seen-box"), true);
  }

  function take(chosen) {
    if (!chosen) return;
    file = chosen;
    createImageBitmap(chosen).then((image) => {
      const scale = Math.min(board.width / image.width, board.height / image.height);
      const [width, height] = [image.width * scale, image.height * scale];
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, board.width, board.height);
      pen.drawImage(image, (board.width - width) / 2, (board.height - height) / 2, width, height);
    }).catch(() => {});
    ask(chosen, byId("invert").checked);
  }

  byId("clear").addEventListener("click", clear);
  byId("file").addEventListener("change", (event) => take(event.target.files[0]));
  byId("invert").addEventListener("change", () => file && ask(file, byId("invert").checked));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    board.classList.add("over");
  });
  addEventListener("dragleave", () => board.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    board.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });

  fetch(`${address}/model`).then(async (answer) => {
    const found = await answer.json();
    if (!answer.ok) {
      tellProblem({ text: found.error });
      return;
    }
    byId("model").textContent = `${name}: ${found.classes.length} classes of ${found.dataset}`;
    show(byId("ask"), true);
    clear();
  }).catch(() => tellProblem({ text: "The server does not answer." }));
})();

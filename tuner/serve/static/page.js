"use strict";
/* What all pages share. Whatever comes from a run becomes text, never markup: names, hyperparameters and traces are a
   stranger's words. */
const STATES = {
  waiting: "Not begun yet",
  running: "Running",
  silent: "No word for a while",
  stopped: "Stopped",
  finished: "Finished",
  unreadable: "Cannot be read",
};

/* An element with attributes and children; a text is a child like another. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);

function show(place, isShown) {
  place.hidden = !isShown;
}

/* "1h 02m", "2m 03s" or "3s". */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  const two = (number) => String(number).padStart(2, "0");
  if (minutes < 60) return `${minutes}m ${two(whole % 60)}s`;
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
}

const now = () => Date.now() / 1000;

/* Listens to a stream of events while the page is seen; a hidden page costs the server nothing. `handlers` are called
   with the data of the events of their name. */
function listen(address, handlers) {
  const live = byId("live");
  let source = null;
  const say = (text, isOn) => {
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle("on", isOn);
  };
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => say("Live", true);
    source.onerror = () => {
      say("The server does not answer; trying again", false);
      if (source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => source ?? open(), 5000);
      }
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (source === null) open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && source === null && open());
  open();
}

function tellProblem({ text }) {
  const place = byId("problem");
  place.textContent = text.charAt(0).toUpperCase() + text.slice(1);
  show(place, text !== "");
}

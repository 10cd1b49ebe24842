// The review player: two takes in step to the frame, strokes, and one key for a verdict.
// Frame f of a take is on screen at (f + 1/2) / rate: seeking there lands on it exactly.
import { first, isForPage, say, send } from "./desk.js";

const SVG = "http://www.w3.org/2000/svg";
const INK_WIDTH = 1000;
const review = document.getElementById("review");
const screen = review.querySelector(".screen");
const a = screen.querySelector("video.a");
const words = review.querySelector("form.words");
const { api, shot, seen, of, onward } = review.dataset;
const shotUrl = `${api}/shots/${encodeURIComponent(shot)}`;

const rateOf = (text) => text.split("/").reduce((n, d) => n / d);
let frame = 0;
let strokes = [];

if (a) startPlayer();
startVerdicts();

function startPlayer() {
  const b = screen.querySelector("video.b");
  const ink = screen.querySelector("svg.ink");
  const track = document.getElementById("track");
  const other = document.getElementById("other");
  const counter = review.querySelector(".counter");
  const rate = rateOf(a.dataset.rate);
  const frames = Number(a.dataset.frames);
  let starts = [];
  let wanted = 0;
  let inkHeight = (INK_WIDTH * 9) / 16;

  const button = (name) => review.querySelector(`[data-do="${name}"]`);
  const pressed = (element) => element.getAttribute("aria-pressed") === "true";
  const press = (element, on) => element.setAttribute("aria-pressed", String(on));

  // -- frames ---------------------------------------------------------------------------
  function seek(target) {
    wanted = Math.max(0, Math.min(frames - 1, target));
    const time = (wanted + 0.5) / rate;
    a.currentTime = time;
    if (b.src) b.currentTime = Math.min(time, b.duration ? b.duration - 0.001 : time);
    show(wanted);
  }

  function show(number) {
    frame = number;
    counter.textContent = `${first + number} / ${first + frames - 1}`;
    track.setAttribute("aria-valuenow", first + number);
    track.querySelector(".head")?.setAttribute("x", number);
    const about = document.getElementById("about");
    if (about) about.textContent = strokes.length || !words.hidden ? `${first + number}` : "";
    showHold(number);
  }

  function showHold(number) {
    if (!starts.length) return;
    const at = starts.findLastIndex((start) => start <= number);
    const held = (starts[at + 1] ?? frames) - starts[at];
    document.getElementById("timing").textContent = `#${at + 1}/${starts.length} · ×${held}`;
  }

  function onFrame(_, told) {
    const shown = Math.min(frames - 1, Math.floor(told.mediaTime * rate + 0.01));
    if (!a.paused) {
      show(shown);
      follow();
    }
    a.requestVideoFrameCallback(onFrame);
  }

  // The other take runs by itself; one that is half a frame off is put in step again.
  function follow() {
    if (b.src && b.readyState > 1 && Math.abs(b.currentTime - a.currentTime) > 0.5 / rate) b.currentTime = a.currentTime;
  }

  if ("requestVideoFrameCallback" in a) a.requestVideoFrameCallback(onFrame);
  else a.addEventListener("timeupdate", () => show(Math.min(frames - 1, Math.floor(a.currentTime * rate))));

  a.addEventListener("loadedmetadata", () => {
    screen.style.setProperty("--shape", `${a.videoWidth} / ${a.videoHeight}`);
    inkHeight = (INK_WIDTH * a.videoHeight) / a.videoWidth;
    ink.setAttribute("viewBox", `0 0 ${INK_WIDTH} ${inkHeight}`);
    seek(frame);
  });
  a.addEventListener("ended", () => {
    if (pressed(button("loop"))) {
      a.currentTime = 0;
      play();
    } else press(button("play"), false);
  });
  a.addEventListener("error", () => say(`${shot}: ${a.error?.message || "?"}`));

  function play() {
    if (b.src) {
      b.currentTime = a.currentTime;
      b.play().catch(() => {});
    }
    a.play().catch((error) => say(error.message));
    press(button("play"), true);
  }

  function pause() {
    a.pause();
    b.pause();
    press(button("play"), false);
    seek(frame);
  }

  function step(by) {
    if (!a.paused) pause();
    seek(frame + by);
  }

  function stepDrawing(by) {
    if (!starts.length) return step(by);
    const at = starts.findLastIndex((start) => start <= frame);
    const next = by < 0 && starts[at] < frame ? at : at + by;
    if (!a.paused) pause();
    seek(starts[Math.max(0, Math.min(starts.length - 1, next))]);
  }

  // -- the timing chart -------------------------------------------------------------------
  function drawTrack() {
    track.setAttribute("viewBox", `0 0 ${frames} 10`);
    track.replaceChildren();
    const rect = (x, y, width, height, kind) => {
      const made = document.createElementNS(SVG, "rect");
      for (const [name, value] of Object.entries({ x, y, width, height, class: kind })) made.setAttribute(name, value);
      track.append(made);
    };
    const cells = starts.length ? starts : [0];
    cells.forEach((start, at) => rect(start, 2, (cells[at + 1] ?? frames) - start, 6, `cell${at % 2 ? " odd" : ""}`));
    for (const mark of review.querySelectorAll("[data-frame]")) rect(Number(mark.dataset.frame), 0, 1, 2, "mark");
    rect(frame, 0, 1, 10, "head");
  }

  fetch(`${shotUrl}/drawings`)
    .then((answer) => answer.json())
    .then((told) => {
      starts = told.starts;
      drawTrack();
      show(frame);
    });
  drawTrack();

  const drag = (event) => {
    const box = track.getBoundingClientRect();
    if (!a.paused) pause();
    seek(Math.floor(((event.clientX - box.left) / box.width) * frames));
  };
  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    drag(event);
  });
  track.addEventListener("pointermove", (event) => {
    if (event.buttons) drag(event);
  });

  // -- comparing --------------------------------------------------------------------------
  const tagA = review.querySelector('[data-tag="a"]');
  const tagB = review.querySelector('[data-tag="b"]');

  function setMode(mode) {
    screen.dataset.mode = mode;
    for (const each of review.querySelectorAll("[data-mode]")) if (each.localName === "button") press(each, each.dataset.mode === mode);
    b.style.clipPath = mode === "wipe" ? "inset(0 0 0 50%)" : "";
    screen.querySelector(".divider").style.left = "50%";
    if (mode !== "single") loadOther();
    label();
  }

  function loadOther() {
    const url = `${b.dataset.media}/${other.value}.mp4`;
    if (b.getAttribute("src") === url) return;
    b.preload = "auto";
    b.src = url;
    b.addEventListener("loadedmetadata", () => seek(frame), { once: true });
    b.addEventListener("error", () => say(`${other.selectedOptions[0].textContent}: ${b.error?.message || "404"}`), { once: true });
  }

  function label() {
    const name = other.selectedOptions[0]?.textContent ?? "";
    const swapped = screen.dataset.shown === "b" && screen.dataset.mode === "single";
    tagA.textContent = swapped ? name : a.getAttribute("aria-label");
    tagB.textContent = name;
    tagB.hidden = !["wipe", "side"].includes(screen.dataset.mode);
  }

  function swap() {
    screen.dataset.shown = screen.dataset.shown === "a" ? "b" : "a";
    press(button("swap"), screen.dataset.shown === "b");
    loadOther();
    if (screen.dataset.mode !== "single") setMode("single");
    label();
  }

  other.addEventListener("change", () => {
    loadOther();
    label();
  });
  screen.addEventListener("pointermove", (event) => {
    const box = screen.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 100;
    const y = ((event.clientY - box.top) / box.height) * 100;
    if (screen.dataset.mode === "wipe" && !screen.classList.contains("drawing")) {
      b.style.clipPath = `inset(0 0 0 ${x}%)`;
      screen.querySelector(".divider").style.left = `${x}%`;
    }
    if (pressed(button("zoom")) && !screen.classList.contains("drawing")) screen.style.setProperty("--at", `${x}% ${y}%`);
  });

  // -- strokes ----------------------------------------------------------------------------
  function drawInk(paths) {
    ink.replaceChildren(
      ...paths.map((d) => {
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("d", d);
        return path;
      }),
    );
    button("undo").disabled = !strokes.length;
  }

  function setDrawing(on) {
    press(button("draw"), on);
    screen.classList.toggle("drawing", on);
    if (on) {
      if (!a.paused) pause();
      openWords();
    }
  }

  const point = (event) => {
    const box = ink.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * INK_WIDTH;
    const y = ((event.clientY - box.top) / box.height) * inkHeight;
    return `${Math.max(0, x).toFixed(0)} ${Math.max(0, y).toFixed(0)}`;
  };
  ink.addEventListener("pointerdown", (event) => {
    ink.setPointerCapture(event.pointerId);
    strokes.push(`M${point(event)}`);
  });
  ink.addEventListener("pointermove", (event) => {
    if (!event.buttons || !strokes.length) return;
    strokes[strokes.length - 1] += ` L${point(event)}`;
    drawInk(strokes);
    show(frame);
  });

  for (const mark of review.querySelectorAll(".log [data-frame]")) {
    mark.addEventListener("click", () => {
      if (!a.paused) pause();
      seek(Number(mark.dataset.frame));
      drawInk(mark.dataset.strokes ? [mark.dataset.strokes] : []);
    });
  }

  // -- where this frame comes from ----------------------------------------------------------
  const facts = document.getElementById("provenance");
  async function explain() {
    if (!facts.open) return;
    const list = facts.querySelector("dl");
    const names = JSON.parse(list.dataset.words);
    const told = await (await fetch(`${shotUrl}/frames/${frame}`)).json();
    const stages = (told.stages ?? []).map((s) => `${s.stage} v${s.version} ${JSON.stringify(s.params)} ${s.engine}`);
    const models = (told.stages ?? []).map((s) => s.model).filter(Boolean);
    const rows = [
      [names.source, told.source_frame],
      [names.stages, stages.join("\n")],
      [names.model, models.join("\n") || "–"],
      [names.chunk, told.chunk],
      [names.run, told.run],
      [names.machine, told.host],
      [names.command, told.command],
    ];
    list.replaceChildren(
      ...rows.flatMap(([name, value]) => {
        const [dt, dd] = ["dt", "dd"].map((tag) => document.createElement(tag));
        dt.textContent = name;
        dd.textContent = value ?? "–";
        return [dt, dd];
      }),
    );
  }
  facts.addEventListener("toggle", explain);
  a.addEventListener("seeked", explain);

  // -- keys and buttons -----------------------------------------------------------------------
  const acts = {
    play: () => (a.paused ? play() : pause()),
    back: () => step(-1),
    forth: () => step(1),
    loop: () => press(button("loop"), !pressed(button("loop"))),
    zoom: () => {
      const on = !pressed(button("zoom"));
      press(button("zoom"), on);
      screen.style.setProperty("--zoom", on ? "3" : "1");
    },
    draw: () => setDrawing(!pressed(button("draw"))),
    undo: () => {
      strokes.pop();
      drawInk(strokes);
    },
    swap,
  };
  review.addEventListener("click", (event) => {
    const pushed = event.target.closest("button");
    if (pushed?.dataset.do in acts) acts[pushed.dataset.do]();
    if (pushed?.dataset.mode) setMode(pushed.dataset.mode);
  });
  const keys = {
    " ": acts.play,
    ArrowLeft: acts.back,
    ArrowRight: acts.forth,
    ",": () => stepDrawing(-1),
    ".": () => stepDrawing(1),
    l: acts.loop,
    z: acts.zoom,
    d: acts.draw,
    b: acts.swap,
    i: () => (facts.open = !facts.open),
    Home: () => seek(0),
    End: () => seek(frames - 1),
    1: () => setMode("single"),
    2: () => setMode("wipe"),
    3: () => setMode("side"),
    4: () => setMode("difference"),
  };
  document.addEventListener("keydown", (event) => {
    if (!isForPage(event) || !(event.key in keys)) return;
    if (event.key === " " && event.target.closest("button, a, summary")) return;
    event.preventDefault();
    keys[event.key]();
  });
  label();
  show(0);
}

function openWords() {
  if (words?.hidden) words.hidden = false;
}

function startVerdicts() {
  async function decide(verdict, more) {
    try {
      await send(`${api}/decisions`, { decisions: [{ shot, seen, of, verdict, ...more }] });
      location.href = onward;
    } catch (error) {
      say(error.message);
    }
  }
  const approve = review.querySelector('[data-do="approve"]');
  approve?.addEventListener("click", () => decide("approved"));
  const sendBack = () =>
    decide("retake", { note: words.elements.note.value, frame: a ? frame : null, strokes: strokes.join(" ") });
  const ask = () => {
    openWords();
    words.elements.note.focus();
  };
  review.querySelector('[data-do="retake"]')?.addEventListener("click", ask);
  review.querySelector('[data-do="cancel"]')?.addEventListener("click", () => (words.hidden = true));
  words?.addEventListener("submit", (event) => {
    event.preventDefault();
    sendBack();
  });
  words?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) sendBack();
    if (event.key === "Escape") words.hidden = true;
  });
  document.addEventListener("keydown", (event) => {
    if (!isForPage(event)) return;
    if (event.key === "a" && approve && !approve.disabled) decide("approved");
    if (event.key === "r" && words) {
      event.preventDefault();
      ask();
    }
    const go = { n: "next", p: "previous", j: "onward" }[event.key];
    if (go) document.querySelector(`[data-go="${go}"]`)?.click();
  });
}

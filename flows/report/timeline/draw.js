"use strict";
// Draws the pieces of work of #data on the rows of workers. Times are milliseconds from the first
// piece on; `view` is the span of them that is seen.

const D = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const HEAD = 150;  // pixels of the rows' names
const LEAST_MS = 20;
const PART_COLOURS = {
  load: "--s5", decode: "--s7", wait: "--s6", compute: "--s1", encode: "--s2", verify: "--s4", pack: "--s8", store: "--s3",
};
const PART_ALPHA = { load: 0.5, decode: 0.6, wait: 0.22, compute: 1, encode: 1, verify: 0.6, pack: 0.8, store: 0.65 };
const COUNT = D.from.length;
const TOOK = D.took.map(parts => parts.reduce((sum, ms) => sum + ms, 0));
const dark = matchMedia("(prefers-color-scheme: dark)");

let summing = 0, busy = null;
let view = [0, 1], whole = [0, 1], rows = [], colour = "shot", chosen = -1, css = {};

// ---- what is shown: the pieces of one run, on rows from top to bottom

const spans = D.runs.map(() => [Infinity, -Infinity]);
for (let i = 0; i < COUNT; i++) {
  const span = spans[D.run[i]];
  span[0] = Math.min(span[0], D.from[i]);
  span[1] = Math.max(span[1], D.from[i] + TOOK[i]);
}

function chooseRun(run) {
  const all = run < 0;
  whole = all ? [Math.min(...spans.map(s => s[0])), Math.max(...spans.map(s => s[1]))] : [...spans[run]];
  const margin = Math.max(LEAST_MS, (whole[1] - whole[0]) * 0.01);
  whole = [whole[0] - margin, whole[1] + margin];
  const at = new Map();
  for (let i = 0; i < COUNT; i++) {
    if (!all && D.run[i] !== run) continue;
    if (!at.has(D.worker[i])) at.set(D.worker[i], []);
    at.get(D.worker[i]).push(i);
  }
  busy = null;
  rows = [...at.keys()].sort((a, b) => a - b).map(worker => {
    const pieces = at.get(worker);
    return {
      worker, pieces,
      lanes: 1 + Math.max(...pieces.map(i => D.lane[i])),
      longest: Math.max(...pieces.map(i => TOOK[i])),
    };
  });
  place();
  setView(...whole);
}

function place() {  // lanes as high as the window allows, and readable
  const lanes = rows.reduce((sum, row) => sum + row.lanes, 0);
  const room = Math.max(260, innerHeight - 300) - rows.length * 6;
  const height = Math.max(5, Math.min(18, Math.floor(room / lanes)));
  let top = 6, node = null;
  for (const row of rows) {
    const name = D.workers[row.worker].node;
    row.heading = name !== node ? name : "";
    node = name;
    if (row.heading) top += 20;
    Object.assign(row, { top, laneHeight: height, height: Math.max(11, row.lanes * height) });
    top += row.height + 6;
  }
  byId("chart").style.height = `${Math.max(60, top + 4)}px`;
}

function setView(from, to) {
  const span = Math.min(whole[1] - whole[0], Math.max(LEAST_MS, to - from));
  from = Math.max(whole[0], Math.min(whole[1] - span, from));
  view = [from, from + span];
  requestDraw();
}

function zoom(factor, around = (view[0] + view[1]) / 2) {
  setView(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
}

// ---- colours

function readColours() {
  const style = getComputedStyle(document.documentElement);
  css = {};
  for (const name of ["--card", "--ink", "--soft", "--grid", "--mark", "--bad", "--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8"])
    css[name] = style.getPropertyValue(name).trim();
}

const hue = at => `hsl(${(at * 137.508 + 205) % 360} ${dark.matches ? "52% 62%" : "55% 48%"})`;
const partColour = part => css[PART_COLOURS[part]];

function pieceColour(i) {
  if (colour === "stage") return hue(D.stage[i] * 2);
  if (colour === "shot") return hue(D.shot[i]);
  const parts = D.took[i];
  return partColour(D.parts[parts.indexOf(Math.max(...parts))]);
}

// ---- drawing

let waiting = false;
function requestDraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function canvas(id) {
  const element = byId(id), scale = devicePixelRatio || 1;
  const width = byId("chart").clientWidth, height = element.clientHeight;  // all end where rows do
  if (id !== "chart") element.style.width = `${width}px`;
  if (element.width !== Math.round(width * scale) || element.height !== Math.round(height * scale)) {
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
  }
  const pen = element.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  return [pen, width, height];
}

const scaleOf = width => (width - HEAD - 8) / (view[1] - view[0]);

function draw() {
  const [pen, width, height] = canvas("chart");
  const perMs = scaleOf(width), x = ms => HEAD + (ms - view[0]) * perMs;
  drawAxis(x);
  pen.fillStyle = css["--grid"];
  for (const ms of ticks(width)) pen.fillRect(Math.round(x(ms)), 0, 1, height);
  for (const row of rows) drawRow(pen, row, x, perMs, width);
  drawOverview();
  clearTimeout(summing);
  summing = setTimeout(sum, 60);  // figures follow when the view comes to rest
}

function drawRow(pen, row, x, perMs, width) {
  const worker = D.workers[row.worker];
  pen.globalAlpha = 1;
  if (row.heading) {
    pen.fillStyle = css["--ink"];
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillText(row.heading, 10, row.top - 10, HEAD + 200);
    pen.font = "12px system-ui, sans-serif";
  }
  pen.fillStyle = css["--soft"];
  const label = worker.gpu ? `GPU ${worker.gpu} · ${worker.process}` : `worker ${worker.process}`;
  pen.fillText(label, 18, row.top + row.height / 2, HEAD - 26);
  pen.fillStyle = css["--mark"];
  pen.fillRect(HEAD, row.top, width - HEAD - 8, row.height);
  pen.save();
  pen.beginPath();
  pen.rect(HEAD, row.top, width - HEAD - 8, row.height);
  pen.clip();
  Object.assign(pen, { strokeStyle: "#0009", lineWidth: 2.5, lineJoin: "round" });
  const reached = new Array(row.lanes).fill(-1);
  for (let at = firstIn(row); at < row.pieces.length; at++) {
    const i = row.pieces[at];
    if (D.from[i] > view[1]) break;
    const left = x(D.from[i]), right = x(D.from[i] + TOOK[i]), lane = D.lane[i];
    if (right < HEAD || (right <= reached[lane] && D.shot[i] !== chosen)) continue;
    reached[lane] = Math.max(Math.ceil(right), Math.floor(left) + 1);
    drawPiece(pen, i, left, right, row.top + lane * row.laneHeight, row.laneHeight - 1, perMs);
  }
  pen.restore();
}

function drawPiece(pen, i, left, right, top, height, perMs) {
  const strength = chosen >= 0 && D.shot[i] !== chosen ? 0.16 : 1;
  const wide = right - left;
  pen.globalAlpha = strength;
  pen.fillStyle = pieceColour(i);
  if (wide < 10) {
    pen.fillRect(left, top, Math.max(1, wide), height);
  } else {
    let at = left;
    D.took[i].forEach((ms, part) => {
      const name = D.parts[part];
      if (colour === "part") pen.fillStyle = partColour(name);
      pen.globalAlpha = strength * (colour === "part" && name !== "wait" ? 1 : PART_ALPHA[name]);
      pen.fillRect(at, top, ms * perMs, height);
      at += ms * perMs;
    });
  }
  if (D.retries[i]) {
    pen.globalAlpha = strength;
    pen.fillStyle = css["--bad"];
    pen.fillRect(left, top, Math.min(3, Math.max(1.5, wide)), height);
  }
  const seen = Math.max(left, HEAD), room = right - seen - 8;
  if (height >= 10 && room > 34) {
    const shot = D.shots[D.shot[i]].split("/").pop(), size = Math.min(12, height - 2);
    const all = room > 130 ? `${shot}  ${D.stages[D.stage[i]]}  ${D.start[i]}–${D.end[i] - 1}` : shot;
    const text = all.slice(0, Math.floor(room / (size * 0.58)));
    pen.globalAlpha = strength;
    pen.font = `${size}px system-ui, sans-serif`;
    pen.strokeText(text, seen + 5, top + height / 2 + 0.5);
    pen.fillStyle = "#ffffff";
    pen.fillText(text, seen + 5, top + height / 2 + 0.5);
  }
}

function firstIn(row) {  // pieces are in order of their begin: none before this one reaches the view
  let low = 0, high = row.pieces.length;
  const from = view[0] - row.longest;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (D.from[row.pieces[middle]] < from) low = middle + 1; else high = middle;
  }
  return low;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];

function ticks(width) {
  const wanted = (view[1] - view[0]) / Math.max(2, (width - HEAD) / 110);
  const step = STEPS.find(each => each >= wanted) || STEPS[STEPS.length - 1];
  const found = [];
  for (let ms = Math.ceil((D.began + view[0]) / step) * step - D.began; ms < view[1]; ms += step) found.push(ms);
  found.step = step;
  return found;
}

function clock(ms, step = 1000) {
  const text = new Date(D.began + ms).toISOString();
  if (step >= 864e5) return text.slice(5, 10);
  if (step >= 6e4) return text.slice(11, 16);
  return step >= 1000 ? text.slice(11, 19) : text.slice(11, 23);
}

function drawAxis(x) {
  const [pen, width, height] = canvas("axis");
  const found = ticks(width);
  pen.fillStyle = css["--soft"];
  pen.fillText(`${new Date(D.began + view[0]).toISOString().slice(0, 10)} UTC`, 10, height / 2);
  pen.textAlign = "center";
  for (const ms of found) if (x(ms) > HEAD + 24 && x(ms) < width - 30) pen.fillText(clock(ms, found.step), x(ms), height / 2);
}

function drawOverview() {
  const [pen, width, height] = canvas("overview");
  const columns = Math.max(1, Math.floor(width - HEAD - 8)), perMs = columns / (whole[1] - whole[0]);
  if (!busy || busy.length !== columns + 1) busy = countBusy(columns, perMs);
  pen.fillStyle = css["--soft"];
  pen.fillText("workers at work", 10, height / 2 - 8);
  pen.fillText(`of ${rows.length}`, 10, height / 2 + 8);
  pen.fillStyle = css["--s1"];
  pen.globalAlpha = 0.75;
  for (let c = 0; c < columns; c++) {
    const tall = (height - 12) * busy[c] / rows.length;
    pen.fillRect(HEAD + c, height - 4 - tall, 1, tall);
  }
  const left = HEAD + (view[0] - whole[0]) * perMs, right = HEAD + (view[1] - whole[0]) * perMs;
  pen.globalAlpha = 0.72;
  pen.fillStyle = css["--card"];
  pen.fillRect(HEAD, 0, left - HEAD, height);
  pen.fillRect(right, 0, HEAD + columns - right, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = css["--soft"];
  pen.lineWidth = 1;
  pen.strokeRect(left + 0.5, 1.5, Math.max(3, right - left - 1), height - 3);
}

function countBusy(columns, perMs) {  // workers at work in each column of pixels
  const at = ms => Math.max(0, Math.min(columns, Math.floor((ms - whole[0]) * perMs)));
  const counts = new Float64Array(columns + 1);
  for (const row of rows) {
    let until = -1;
    for (const i of row.pieces) {  // a worker counts once, however much it has in hand
      const left = Math.max(until, at(D.from[i])), right = at(D.from[i] + TOOK[i]) + 1;
      for (let c = left; c < right && c <= columns; c++) counts[c] += 1;
      until = Math.max(until, right);
    }
  }
  return counts;
}

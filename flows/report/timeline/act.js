// What the view comes to in figures, and what a person does to it.

const LISTED = 12;

function words(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(ms < 10e3 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60e3);
  return minutes < 60 ? `${minutes} min ${Math.round(ms % 60e3 / 1000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const percent = share => `${(100 * share).toFixed(1)} %`;

function bytes(count) {
  let at = 0;
  for (; count >= 1000 && at < 4; at++) count /= 1000;
  return `${count.toFixed(at ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][at]}`;
}

function make(tag, text = "", style = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  Object.assign(element.style, style);
  return element;
}

function sum() {  // of what is in view: parts by the share of each that is, idle by gaps in a row
  const parts = D.parts.map(() => 0), found = [];
  let held = 0, stored = 0, retries = 0;
  for (const row of rows) {
    let until = view[0];
    for (let at = firstIn(row); at < row.pieces.length; at++) {
      const i = row.pieces[at], end = D.from[i] + TOOK[i];
      if (D.from[i] >= view[1]) break;
      if (end <= view[0] || (chosen >= 0 && D.shot[i] !== chosen)) continue;
      let from = D.from[i];
      D.took[i].forEach((ms, part) => {
        parts[part] += Math.max(0, Math.min(view[1], from + ms) - Math.max(view[0], from));
        from += ms;
      });
      held += Math.max(0, Math.min(view[1], end) - Math.max(until, D.from[i]));
      until = Math.max(until, Math.min(view[1], end));
      stored += D.bytes[i];
      retries += D.retries[i];
      found.push(i);
    }
  }
  tell(parts, found, { held, stored, retries });
}

function tell(parts, found, { held, stored, retries }) {
  const all = parts.reduce((total, ms) => total + ms, 0) || 1;
  const share = Math.min(1, held / (rows.length * (view[1] - view[0])));
  byId("tiles").replaceChildren(...[
    ["In view", words(view[1] - view[0]), clock(view[0]) + " – " + clock(view[1]) + " UTC"],
    ["Workers", rows.length, chosen < 0 ? `idle for ${percent(1 - share)} of it` : `on this shot for ${percent(share)} of it`],
    ["Pieces of work", found.length.toLocaleString("en"), `of ${new Set(found.map(i => D.shot[i])).size} shots`],
    ["Stored", bytes(stored), "frames and segments"],
    ["Retries", retries, "tries that were made good"],
  ].map(([name, value, about]) => {
    const box = make("div"), small = make("dd", about);
    small.className = "about";
    box.append(make("dt", name), make("dd", value), small);
    return box;
  }));
  byId("where").replaceChildren(...parts.map((ms, at) => make("i", "", { width: `${100 * ms / all}%`, background: partColour(D.parts[at]) })));
  byId("legend").replaceChildren(...parts.map((ms, at) => {
    if (!ms) return "";
    const item = make("li");
    item.append(make("i", "", { background: partColour(D.parts[at]) }), `${D.parts[at]} ${percent(ms / all)} (${words(ms)})`);
    return item;
  }));
  byId("view").textContent = chosen < 0 ? "" : `only ${D.shots[chosen]}`;
  found.sort((a, b) => TOOK[b] - TOOK[a]);
  byId("longest").tBodies[0].replaceChildren(...found.slice(0, LISTED).map(line));
}

function line(i) {
  const row = make("tr"), frames = D.end[i] - D.start[i], worker = D.workers[D.worker[i]];
  const cells = [
    D.shots[D.shot[i]], D.stages[D.stage[i]], `${D.start[i]}–${D.end[i] - 1}`,
    `${worker.node} ${worker.process}`, clock(D.from[i]), words(TOOK[i]), words(TOOK[i] / Math.max(1, frames)), D.retries[i] || "",
  ];
  cells.forEach((text, at) => {
    const cell = make("td", text);
    if ([2, 4, 5, 6, 7].includes(at)) cell.className = "n";
    row.append(cell);
  });
  row.onclick = () => { choose(D.shot[i]); setView(D.from[i] - TOOK[i], D.from[i] + 2 * TOOK[i]); };
  return row;
}

function choose(shot) {
  chosen = shot;
  byId("find").value = shot < 0 ? "" : D.shots[shot];
  requestDraw();
}

// ---- pointing

const chart = byId("chart"), tip = byId("tip");
const msAt = (event, span = view) => {
  const box = chart.getBoundingClientRect();
  return span[0] + (event.clientX - box.left - HEAD) / (box.width - HEAD - 8) * (span[1] - span[0]);
};

function pieceAt(event) {
  const y = event.clientY - chart.getBoundingClientRect().top, ms = msAt(event);
  const row = rows.find(each => y >= each.top && y < each.top + each.height);
  if (!row || ms < view[0]) return -1;
  const slack = 2 * (view[1] - view[0]) / chart.clientWidth;
  const lane = Math.min(row.lanes - 1, Math.floor((y - row.top) / row.laneHeight));
  let best = -1;
  for (let at = firstIn(row); at < row.pieces.length; at++) {
    const i = row.pieces[at];
    if (D.from[i] > ms + slack) break;
    if (D.lane[i] === lane && D.from[i] + TOOK[i] >= ms - slack) best = i;
  }
  return best;
}

function showTip(event, i) {
  tip.hidden = i < 0;
  if (i < 0) return;
  const worker = D.workers[D.worker[i]], bar = make("div"), title = make("b", `${D.shots[D.shot[i]]} · ${D.stages[D.stage[i]]}`);
  bar.className = "bar";
  bar.append(...D.took[i].map((ms, at) => make("i", "", { width: `${100 * ms / (TOOK[i] || 1)}%`, background: partColour(D.parts[at]) })));
  const parts = D.took[i].map((ms, at) => [D.parts[at], ms]).filter(([, ms]) => ms).map(([name, ms]) => `${name} ${words(ms)}`);
  const frames = D.end[i] - D.start[i];
  tip.replaceChildren(
    title,
    make("div", `frames ${D.start[i]}–${D.end[i] - 1}, ${words(TOOK[i])}, ${words(TOOK[i] / Math.max(1, frames))} a frame`),
    bar,
    make("div", parts.join(", ")),
    make("div", `${clock(D.from[i], 1)} UTC, ${bytes(D.bytes[i])}${D.retries[i] ? `, after ${D.retries[i]} failed tries` : ""}`),
    make("div", `${worker.node}, worker ${worker.process}${worker.gpu ? `, GPU ${worker.gpu}` : ""}`),
  );
  tip.lastChild.className = "soft";
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, event.clientX + 16))}px`;
  tip.style.top = `${event.clientY + 20 + box.height > innerHeight ? Math.max(8, event.clientY - box.height - 14) : event.clientY + 20}px`;
}

let dragged = null;
chart.onpointerdown = event => { dragged = { x: event.clientX, view: [...view], moved: false }; chart.setPointerCapture(event.pointerId); };
chart.onpointermove = event => {
  if (!dragged) return showTip(event, pieceAt(event));
  dragged.moved ||= Math.abs(event.clientX - dragged.x) > 3;
  if (!dragged.moved) return;
  tip.hidden = true;
  chart.style.cursor = "grabbing";
  const by = msAt({ clientX: dragged.x }, dragged.view) - msAt(event, dragged.view);
  setView(dragged.view[0] + by, dragged.view[1] + by);
};
chart.onpointerup = event => {
  if (dragged && !dragged.moved) {
    const i = pieceAt(event);
    choose(i < 0 || D.shot[i] === chosen ? -1 : D.shot[i]);
  }
  dragged = null;
  chart.style.cursor = "";
};
chart.onpointerleave = () => { if (!dragged) tip.hidden = true; };
chart.ondblclick = event => zoom(0.25, msAt(event));
chart.addEventListener("wheel", event => {
  if (event.shiftKey) return;  // scrolls the rows
  event.preventDefault();
  const across = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  const by = (view[1] - view[0]) * event.deltaX / chart.clientWidth;
  if (across) setView(view[0] + by, view[1] + by);
  else zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0022), msAt(event));
}, { passive: false });

const overview = byId("overview");
const middle = event => {
  const at = msAt(event, whole), half = (view[1] - view[0]) / 2;
  setView(at - half, at + half);
};
overview.onpointerdown = event => { overview.setPointerCapture(event.pointerId); middle(event); };
overview.onpointermove = event => { if (event.buttons) middle(event); };

chart.onkeydown = event => {
  const span = view[1] - view[0];
  const acts = {
    "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), "0": () => setView(...whole),
    ArrowLeft: () => setView(view[0] - span / 5, view[1] - span / 5),
    ArrowRight: () => setView(view[0] + span / 5, view[1] + span / 5),
    Escape: () => choose(-1),
  };
  if (acts[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); acts[event.key](); }
};

// ---- the tools above the chart

const runs = byId("run");
const newest = spans.map((span, at) => [span[0], at]).sort((a, b) => b[0] - a[0]).map(([, at]) => at);
runs.append(...newest.map(at => new Option(`${D.runs[at]} (${words(spans[at][1] - spans[at][0])})`, at)));
if (D.runs.length > 1) runs.append(new Option(`all ${D.runs.length} runs`, -1));
runs.onchange = () => { choose(-1); chooseRun(Number(runs.value)); };
byId("colour").onchange = event => { colour = event.target.value; requestDraw(); };
byId("shots").append(...D.shots.map(shot => new Option(shot)));
byId("find").oninput = event => { chosen = D.shots.findIndex(shot => shot === event.target.value || shot.endsWith(`/${event.target.value}`)); requestDraw(); };
byId("less").onclick = () => zoom(1 / 0.6);
byId("more").onclick = () => zoom(0.6);
byId("fit").onclick = () => setView(...whole);
addEventListener("resize", () => { place(); requestDraw(); });
dark.addEventListener("change", () => { readColours(); requestDraw(); });
readColours();
chooseRun(newest[0]);

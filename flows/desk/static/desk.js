// What every page does: times in the viewer's zone, settings, keys, selection, messages.
const root = document.documentElement;
export const csrf = root.dataset.csrf;
export const first = Number(root.dataset.first);

/** Send JSON to the desk's API; the answer's document. Throws with the desk's own words. */
export async function send(url, document) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(document ?? {}),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? told.detail ?? String(answer.status));
  return told;
}

export function say(words) {
  const toast = document.querySelector(".toast");
  toast.textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.textContent = ""), 5000);
}

/** Whether a key is for the page, not for a field that somebody types in. */
export const isForPage = (event) =>
  !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input:not([type=checkbox]), textarea, select, dialog");

function localTimes(part) {
  const form = new Intl.DateTimeFormat(root.lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) {
      time.textContent = form.format(at);
      time.title = time.dateTime;
    }
  }
}

function remember(name, value) {
  document.cookie = `douga_${name}=${value}; path=/; max-age=31536000; samesite=lax`;
}

document.querySelector("[data-settings]")?.addEventListener("submit", async (event) => {
  const fields = new FormData(event.target);
  if (event.submitter.value === "logout") {
    await fetch("/logout", { method: "POST", headers: { "x-csrf-token": csrf } });
    location.href = "/login";
  } else if (event.submitter.value === "save") {
    for (const [name, value] of fields) remember(name, value);
    location.reload();
  }
});

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open).showModal();
  const run = event.target.closest("[data-run]");
  const why = run?.dataset.ask ? prompt(run.dataset.ask) : "";
  if (run && why !== null && (!run.dataset.sure || confirm(run.dataset.sure))) {
    run.disabled = true;
    try {
      await send(run.dataset.run, run.dataset.ask ? { why } : {});
    } catch (error) {
      say(error.message);
      run.disabled = false;
    }
  }
});

// A picture that cannot be made (its segment is gone) leaves the quiet ground under it.
document.addEventListener("error", (event) => event.target.localName === "img" && event.target.remove(), true);

let before = "";
document.addEventListener("keydown", (event) => {
  if (!isForPage(event)) return;
  if (event.key === "?") document.getElementById("keys")?.showModal();
  if (before === "g" && event.key === "b") location.href = "/";
  if (before === "g" && event.key === "r") location.href = "/reviews";
  if (before === "g" && event.key === "q") location.href = "/queue";
  if (event.key === "/" && document.getElementById("find")) {
    event.preventDefault();
    document.getElementById("find").focus();
  }
  if (event.key === "Enter" && event.target === document.body) document.querySelector("[data-start]")?.click();
  before = event.key;
});

// -- the contact sheet: find, filter, select many ---------------------------------------
const actions = document.querySelector(".actions");
const chosen = new Set();

function cards() {
  return [...document.querySelectorAll("#grid .card")];
}

function hide(node, is) {
  if (node.hidden !== is) node.hidden = is;
}

function sift() {
  if (!actions) return;
  const text = document.getElementById("find").value.trim().toLowerCase();
  const state = document.querySelector(".chip[aria-pressed=true]").dataset.filter;
  const found = new Set();
  for (const card of cards()) {
    found.add(card.dataset.state);
    hide(card, !card.dataset.shot.toLowerCase().includes(text) || (state !== "" && card.dataset.state !== state));
    const box = card.querySelector(".pick input");
    if (box) box.checked = chosen.has(card.dataset.shot);
  }
  for (const chip of document.querySelectorAll(".chip[data-filter]")) {
    hide(chip, chip.dataset.filter !== "" && !found.has(chip.dataset.filter));
  }
  document.getElementById("count").textContent = chosen.size;
  hide(actions, chosen.size === 0);
}

async function decideOnChosen(verdict) {
  const note = document.getElementById("why")?.value ?? "";
  const decisions = cards()
    .filter((card) => chosen.has(card.dataset.shot))
    .map((card) => ({ shot: card.dataset.shot, seen: card.dataset.seen, of: card.dataset.of, verdict, note: verdict === "retake" ? note : "" }));
  try {
    await send(actions.dataset.url, { decisions });
    chosen.clear();
    sift();
  } catch (error) {
    say(error.message);
  }
}

if (actions) {
  let last = -1;
  document.getElementById("find").addEventListener("input", sift);
  document.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (chip) {
      for (const each of document.querySelectorAll(".chip")) each.setAttribute("aria-pressed", String(each === chip));
      sift();
    }
    const box = event.target.closest(".pick input");
    if (box) {
      const all = cards().filter((card) => !card.hidden && card.querySelector(".pick"));
      const at = all.indexOf(box.closest(".card"));
      const from = event.shiftKey && last >= 0 ? Math.min(last, at) : at;
      const to = event.shiftKey && last >= 0 ? Math.max(last, at) : at;
      for (const card of all.slice(from, to + 1)) box.checked ? chosen.add(card.dataset.shot) : chosen.delete(card.dataset.shot);
      last = at;
      sift();
    }
    if (event.target.closest("[data-clear]")) {
      chosen.clear();
      sift();
    }
    const verdict = event.target.closest(".actions [data-verdict]");
    if (verdict) decideOnChosen(verdict.dataset.verdict);
  });
  document.addEventListener("keydown", (event) => {
    if (!isForPage(event)) return;
    if (event.key === "a" && chosen.size) decideOnChosen("approved");
    if (event.key === "Escape") {
      chosen.clear();
      sift();
    }
  });
}

// -- live updates: htmx swaps the parts, here follows what is not in their markup --------
new MutationObserver((changes) => {
  const isNew = changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === 1));
  if (isNew) localTimes(document.body);
  // htmx puts the attributes of what it brought back a moment later, `hidden` among them.
  if (isNew || changes.some((change) => change.type === "attributes")) sift();
}).observe(document.getElementById("main"), { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });
document.body.addEventListener("reload", () => location.reload());
localTimes(document.body);
sift();

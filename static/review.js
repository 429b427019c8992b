// The review: keys, the row that is loaded ahead, verdicts on their way, rows that are picked together.
"use strict";

const isTyping = (element) => element.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const rows = () => [...document.querySelectorAll("#queue tbody tr")];
const selectedRow = () => document.querySelector("#queue tr[aria-current]");
const picked = () => [...document.querySelectorAll("#queue .c-pick input:checked")];

// ---------- keys ----------

const NAMED = { " ": "space", Backspace: "backspace", Delete: "delete", ArrowUp: "arrowup", ArrowDown: "arrowdown", ArrowLeft: "arrowleft", ArrowRight: "arrowright" };
const buttonOf = (key) => key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);

function buttonFor(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code); // digits need Shift on some keyboards
  const place = /^Key([A-Z])$/.exec(event.code); // a keyboard that writes another script
  const isLetter = event.key.length === 1;
  return buttonOf(NAMED[event.key] || (isLetter ? event.key.toLowerCase() : ""))
    || buttonOf(digit && !event.shiftKey ? digit[1] : "")
    || buttonOf(place && !/^[\x21-\x7e]$/.test(event.key) ? place[1].toLowerCase() : "");
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    leaveField(event);
    return;
  }
  if (event.key === "Escape") unpick();
  const button = buttonFor(event);
  if (!button) return;
  event.preventDefault();
  // Until the answer is there, nobody has seen the row that the key would be about.
  if (isBusy() && button.closest("#resolver") && !isTyping(button)) {
    if (!event.repeat) sayMissed(event.key);
    return;
  }
  if (button.matches(":disabled") || (event.repeat && !button.dataset.go)) return;
  if (isTyping(button)) enterField(button);
  else (forPicked(button) || button).click();
}

// What a search holds is replaced by what is typed now; a note goes on.
function enterField(field) {
  field.focus();
  if (field.type === "search") field.select();
}

// A page of the table on its way leaves the open row where it is.
const isBusy = () => isHeld || document.querySelector("#review .htmx-request:not(.run, [rel], #lease)");

// Keys work again once a field is left; Enter in a filter applies it too, as any change does.
function leaveField(event) {
  const field = event.target;
  if (event.key === "Escape") {
    if (field.dataset.narrows) narrow(field, "");
    field.blur();
  }
  if (field.dataset.narrows && ["ArrowDown", "ArrowUp"].includes(event.key)) {
    event.preventDefault();
    moveChoice(byId(field.dataset.narrows), event.key === "ArrowDown" ? 1 : -1);
  }
  if (event.key !== "Enter" || !byId("resolver") || !field.matches("input") || field.closest(".popover, .jump")) return;
  event.preventDefault();
  if (field.dataset.narrows) chosenOf(byId(field.dataset.narrows))?.querySelector("button").click();
  else byId("resolver").focus({ preventScroll: true });
}

const shownChoices = (list) => [...list.querySelectorAll("li:not([hidden])")];
const chosenOf = (list) => list.querySelector("li.active:not([hidden])") || shownChoices(list)[0];

function moveChoice(list, by) {
  const shown = shownChoices(list);
  const next = shown[Math.max(0, Math.min(shown.length - 1, shown.indexOf(list.querySelector("li.active")) + by))];
  for (const item of list.children) item.classList.toggle("active", item === next);
  next?.scrollIntoView({ block: "nearest" });
}

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

function narrow(field, typed) {
  field.value = typed;
  for (const item of byId(field.dataset.narrows).children) {
    item.hidden = !plain(item.textContent).includes(plain(typed.trim()));
    item.classList.remove("active");
  }
}

document.addEventListener("input", (event) => {
  if (event.target.dataset.narrows) narrow(event.target, event.target.value);
});

function sayMissed(key) {
  const box = byId("missed");
  box.textContent = box.dataset.sentence.replace("%", key.trim() ? key.toUpperCase() : "␣");
  showFor(box, 2500);
}

function showFor(box, milliseconds) {
  box.hidden = false;
  clearTimeout(Number(box.dataset.timer));
  box.dataset.timer = setTimeout(() => { box.hidden = true; }, milliseconds);
}

document.addEventListener("keydown", press);

// ---------- the table ----------

let openAfterPaging = "";
let markedId = selectedRow()?.id;

function markRow() {
  const wantedId = byId("resolver")?.dataset.row;
  const wanted = byId(wantedId || "");
  if (!wanted && wantedId && markedId && markedId === rows().at(-1)?.id) {
    // The row after the table's last one is on its next page, or the queue starts anew. The mark waits for it.
    markedId = undefined;
    rows().at(-1).setAttribute("aria-current", "true");
    const nextPage = document.querySelector("#queue a[rel=next]");
    if (nextPage) nextPage.click();
    else afterAll(() => document.querySelector("#presets a[aria-current]")?.click());
    return;
  }
  for (const row of rows()) row.removeAttribute("aria-current");
  wanted?.setAttribute("aria-current", "true");
  wanted?.scrollIntoView({ block: "nearest" });
  markedId = wanted?.id;
}

function go(direction) {
  const all = rows();
  const at = all.indexOf(selectedRow());
  const row = all[at + (direction === "next" ? 1 : -1)];
  if (row && at >= 0) {
    row.querySelector("a").click();
    return;
  }
  const pager = document.querySelector(direction === "next" ? "#queue a[rel=next]" : "#queue a[rel=prev]");
  if (!pager) return;
  openAfterPaging = direction;
  pager.click();
}

function openFirstOrLast() {
  if (!openAfterPaging) return;
  const row = openAfterPaging === "next" ? rows()[0] : rows().at(-1);
  openAfterPaging = "";
  row?.setAttribute("aria-current", "true");
  row?.querySelector("a").click();
}

// A row that comes back by undo may stand on another page of the table: give it a place at the top.
function makePlaces(text) {
  const body = document.querySelector("#queue tbody");
  for (const [, id] of text.matchAll(/<tr[^>]* id="(row-\d+)"/g)) {
    if (!body || byId(id)) continue;
    const place = document.createElement("tr");
    place.id = id;
    body.prepend(place);
  }
}

// The next row stands under the pointer at once: the second half of a double click is not about it.
document.addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest("#decision button")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.addEventListener("click", (event) => {
  const mover = event.target.closest("[data-go]");
  if (mover) go(mover.dataset.go);
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "resolver") makePlaces(event.detail.xhr.responseText);
});
document.addEventListener("htmx:afterSettle", (event) => {
  const { id } = event.detail.elt; // the element that came, of which each part that came along has one of its own
  if (["resolver", "review", "queue"].includes(id)) {
    markRow();
    showDraft();
    if (id !== "queue") loadAhead();
    if (id === "resolver" && document.activeElement === document.body) byId("resolver").focus({ preventScroll: true });
  }
  if (id === "queue") openFirstOrLast();
});

// ---------- the next row is there already ----------

const FRESH_MS = 60_000; // a row that was loaded longer ago may have been decided by somebody else
let ahead = null;

async function loadAhead() {
  ahead = null;
  const here = byId("resolver");
  if (!here?.dataset.next) return;
  delete here.dataset.ahead;
  const address = new URL(here.dataset.next, location.href);
  const request = { headers: { "HX-Request": "true", "HX-Target": "resolver" } };
  const decided = waiting.slice(-49).map((one) => one.row.replace("row-", ""));
  if (window.together) Object.assign(request, { method: "POST", body: together.rows(decided) });
  else for (const id of decided) address.searchParams.append("decided", id);
  try {
    const response = await fetch(address, request);
    const html = await response.text();
    const row = /data-row="row-(\d+)"/.exec(html)?.[1];
    if (row) window.together?.hold(row);
    if (!response.ok || byId("resolver") !== here) return;
    ahead = { html, row, after: here, at: Date.now() };
    here.dataset.ahead = "";
  } catch { /* the row then comes with the answer to the verdict */ }
}

const isAhead = () => ahead && ahead.after === byId("resolver") && Date.now() - ahead.at < FRESH_MS;

function showAhead() {
  const { html } = ahead;
  ahead = null;
  const queue = byId("queue");
  htmx.swap("#resolver", html, { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 });
  const here = byId("resolver");
  history.replaceState(history.state, "", here.dataset.address || here.dataset.queue);
  if (here.dataset.order && here.dataset.order !== queue.dataset.order) {
    markedId = undefined;
    htmx.ajax("GET", here.dataset.queue, { target: "#queue", swap: "outerHTML" });
    const box = byId("renewed");
    box.textContent = box.dataset.sentence;
    showFor(box, 4000);
  }
}

// ---------- verdicts on their way ----------

// Each is sent once the one before it has arrived, and again if nothing came back: its key makes it count once.
const waiting = [];
let isSending = false;
let isHeld = false;
let arrived = [];

// Begun before a verdict has arrived, a new table would show its row as open.
function afterAll(then) {
  if (waiting.length) arrived.push(then);
  else then();
}

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (!["decision", "undo", "selection"].includes(form.id)) return;
  if (form.id === "decision" && isAhead()) {
    event.preventDefault();
    event.stopImmediatePropagation();
    decide(form, submitter);
  } else if (waiting.length) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (isHeld) return;
    isHeld = true;
    arrived.push(() => { isHeld = false; form.isConnected && form.requestSubmit(submitter); });
  }
}, true);

function decide(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  body.set("ahead", "true");
  const here = byId("resolver");
  document.body.dataset.unsent = "";
  waiting.push({ url: form.action, body, row: here.dataset.row, name: here.ariaLabel, address: here.dataset.address });
  byId(here.dataset.row)?.classList.add("decided", "on-its-way");
  showAhead();
  sendAll();
}

async function sendAll() {
  if (isSending) return;
  isSending = true;
  for (let wait = 500; waiting.length;) {
    const isAnswered = await send(waiting[0]);
    if (isAnswered) {
      waiting.shift();
      wait = 500;
    } else {
      showUnsent();
      await new Promise((resolve) => { setTimeout(resolve, wait); });
      wait = Math.min(2 * wait, 10_000);
    }
  }
  showUnsent();
  delete document.body.dataset.unsent;
  isSending = false;
  for (const then of arrived.splice(0)) then();
}

async function send(one) {
  let response, text;
  try {
    response = await fetch(one.url, {
      method: "POST", body: one.body, keepalive: true,
      headers: { "HX-Request": "true", "HX-Target": "resolver", "HX-Current-URL": new URL(one.address, location.href).href },
    });
    text = await response.text();
  } catch {
    return false;
  }
  if (response.status >= 500 && (one.tries = (one.tries || 0) + 1) < 4) return false;
  if (response.ok) take(text, one);
  else refuse(response, text, one);
  return true;
}

function take(text, one) {
  sessionStorage.removeItem(draftOf(one.row));
  htmx.swap("#sent", byId(one.row) ? text : withoutRow(text), { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 });
  markCurrent();
  const newest = byId("sent").dataset.order;
  if (byId("resolver")?.dataset.order && newest !== byId("resolver").dataset.order) loadAhead();
}

const withoutRow = (text) => text.replace(/<template>\s*<tr[\s\S]*?<\/tr>\s*<\/template>/, "");

function markCurrent() {
  byId(byId("resolver")?.dataset.row || "")?.setAttribute("aria-current", "true");
}

// A verdict that was not taken comes back with its row, wherever the reader is by now.
function refuse(response, text, one) {
  byId(one.row)?.classList.remove("on-its-way");
  if (response.headers.get("HX-Redirect")) location = response.headers.get("HX-Redirect");
  htmx.swap("#flash", text, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
  const name = document.createElement("strong");
  name.textContent = one.name;
  byId("flash").querySelector(".flash")?.prepend(name);
}

function showUnsent() {
  const box = byId("unsent");
  if (!box) return;
  box.hidden = waiting.length === 0;
  box.querySelector("output").textContent = waiting.length;
}

window.addEventListener("beforeunload", (event) => {
  if (waiting.length) event.preventDefault();
});

// ---------- several rows, one verdict ----------

let lastPicked = null;
let dragFrom = null;
let isDragging = false;

const boxOf = (row) => row?.querySelector(".c-pick input");

function pickRange(from, to, isPicked = true) {
  const all = rows();
  const [first, last] = [all.indexOf(from), all.indexOf(to)].sort((one, other) => one - other);
  if (first < 0) return;
  for (const row of all.slice(first, last + 1)) if (boxOf(row)) boxOf(row).checked = isPicked;
  countPicked();
}

function unpick() {
  for (const box of picked()) box.checked = false;
  countPicked();
}

function countPicked() {
  const count = byId("picked-count");
  if (count) count.textContent = picked().length;
}

// The button among those for the picked rows that does what this one does for the open row.
function forPicked(button) {
  const form = byId("selection");
  if (!form || !picked().length || button.form?.id !== "decision") return null;
  if (button.name === "verdict") return form.querySelector(`button[value="${button.value}"]`);
  const choice = form.elements.label_id;
  if (button.name !== "label_id" || !choice) return null;
  choice.value = button.value;
  return form.querySelector("button[value=override]");
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-unpick]")) unpick();
  if (event.target.closest("[data-pick]")) boxOf(selectedRow())?.click();
  const row = event.target.closest("#queue tbody tr");
  if (!row) return;
  const box = boxOf(row);
  if (isDragging || (event.shiftKey && event.target !== box)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!isDragging) pickRange(lastPicked?.isConnected ? lastPicked : selectedRow() || row, row);
    isDragging = false;
  } else if (event.target === box) {
    if (event.shiftKey && lastPicked?.isConnected) pickRange(lastPicked, row, box.checked);
    lastPicked = row;
  }
}, true);
document.addEventListener("change", (event) => {
  if (event.target.closest("#queue .c-pick")) countPicked();
});
document.addEventListener("pointerdown", (event) => {
  isDragging = false;
  dragFrom = event.pointerType === "mouse" && event.button === 0 ? event.target.closest("#queue tbody tr") : null;
});
document.addEventListener("pointerover", (event) => {
  const row = dragFrom && event.buttons === 1 ? event.target.closest("#queue tbody tr") : null;
  if (!row || (row === dragFrom && !isDragging)) return;
  if (!isDragging) getSelection().removeAllRanges();
  isDragging = true;
  lastPicked = dragFrom;
  pickRange(dragFrom, row);
});
document.addEventListener("pointerup", () => {
  dragFrom = null;
  setTimeout(() => { isDragging = false; }); // after the click that may follow
});
document.addEventListener("dragstart", (event) => {
  if (event.target.closest?.("#queue tbody")) event.preventDefault();
});

// ---------- notes ----------

// A note belongs to the verdict that comes after it; till then it waits in this tab, row by row.
function draftOf(row) {
  return `setright note ${row}`;
}

function showDraft() {
  const draft = byId("note") && sessionStorage.getItem(draftOf(byId("resolver").dataset.row));
  if (draft !== null && draft !== undefined && byId("note")) byId("note").value = draft;
}

document.addEventListener("input", (event) => {
  if (event.target.id === "note") sessionStorage.setItem(draftOf(byId("resolver").dataset.row), event.target.value);
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const sent = event.detail.requestConfig;
  if (sent?.elt.id === "decision" && !event.detail.isError) {
    sessionStorage.removeItem(draftOf(sent.elt.closest("#resolver").dataset.row));
  }
});

showDraft();
selectedRow()?.scrollIntoView({ block: "nearest" });
loadAhead();

// What the pages do beyond links and forms. Keys press the buttons that are on the page: the server
// never hears of anything else.
"use strict";

const byId = (id) => document.getElementById(id);
const isTyping = (element) => element.matches("input, textarea, select, [contenteditable]");

// ---------- messages ----------

function say(sentence) {
  const box = document.createElement("div");
  box.className = "flash error";
  box.setAttribute("role", "alert");
  box.textContent = sentence;
  byId("flash").replaceChildren(box);
}

let passing = 0;

function letMessagesPass() {
  clearTimeout(passing);
  if (document.querySelector("#flash [data-passing]")) {
    passing = setTimeout(() => document.querySelector("#flash [data-passing]")?.remove(), 6000);
  }
}

document.addEventListener("htmx:sendError", () => say("No connection to the server. What you see may be old; try again."));
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) byId("flash").replaceChildren();
  const opener = event.target.closest("[data-opens]");
  if (opener) byId(opener.dataset.opens).showModal();
});

// ---------- keys ----------

function keyOf(event) {
  if (/^[\x21-\x7e]$/.test(event.key)) return event.key.toLowerCase();
  const found = /^(?:Key([A-Z])|Digit(\d))$/.exec(event.code); // a keyboard that writes another script
  return found ? (found[1] || found[2]).toLowerCase() : "";
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    leaveField(event);
    return;
  }
  const key = keyOf(event);
  const button = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!button) return;
  event.preventDefault();
  // Until the answer is there, nobody has seen the row that the key would be about.
  const isBusy = document.querySelector("#review .htmx-request:not(.run)");
  if (isBusy && button.closest("#resolver") && !isTyping(button)) {
    if (!event.repeat) sayMissed(key);
    return;
  }
  if (button.matches(":disabled") || (event.repeat && !button.dataset.go)) return;
  if (isTyping(button)) button.focus();
  else button.click();
}

// Keys work again once a field is left; Enter in a filter applies it too, as any change does.
function leaveField(event) {
  const field = event.target;
  if (event.key === "Escape") field.blur();
  if (event.key !== "Enter" || !byId("resolver") || !field.matches("input")) return;
  event.preventDefault();
  if (field.dataset.narrows) byId(field.dataset.narrows).querySelector("li:not([hidden]) button")?.click();
  else byId("resolver").focus({ preventScroll: true });
}

let missed = 0;

function sayMissed(key) {
  const box = byId("missed");
  box.textContent = `${key.toUpperCase()} was not taken: the next row was not there yet.`;
  box.hidden = false;
  clearTimeout(missed);
  missed = setTimeout(() => { box.hidden = true; }, 2500);
}

document.addEventListener("keydown", press);

// ---------- the review queue ----------

const rows = () => [...document.querySelectorAll("#queue tbody tr")];
const selectedRow = () => document.querySelector("#queue tr[aria-current]");
let openAfterPaging = "";
let markedId = selectedRow()?.id;

function markRow() {
  const wantedId = byId("resolver")?.dataset.row;
  const wanted = byId(wantedId || "");
  if (!wanted && wantedId && markedId && markedId === rows().at(-1)?.id) {
    // The row after the table's last one is on its next page, or the queue starts anew. The mark waits for it.
    markedId = undefined;
    rows().at(-1).setAttribute("aria-current", "true");
    document.querySelector("#queue a[rel=next], #presets a[aria-current]")?.click();
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

document.addEventListener("click", (event) => {
  const mover = event.target.closest("[data-go]");
  if (mover) go(mover.dataset.go);
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "resolver") makePlaces(event.detail.xhr.responseText);
});
document.addEventListener("htmx:afterSettle", (event) => {
  letMessagesPass();
  const id = event.detail.target?.id || event.detail.elt?.id;
  if (["resolver", "review", "queue"].includes(id)) {
    markRow();
    showDraft();
    if (id === "resolver" && document.activeElement === document.body) byId("resolver").focus({ preventScroll: true });
  }
  if (id === "queue") openFirstOrLast();
});

// ---------- notes ----------

// A note belongs to the verdict that comes after it; till then it waits in this tab, row by row.
const draftOf = (row) => `setright note ${row}`;

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

// ---------- forms ----------

document.addEventListener("input", (event) => {
  const list = event.target.dataset.narrows && byId(event.target.dataset.narrows);
  if (!list) return;
  const wanted = event.target.value.trim().toLocaleLowerCase();
  for (const item of list.children) {
    item.hidden = !item.textContent.toLocaleLowerCase().includes(wanted);
  }
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (form && !event.target.closest("[data-apply]")) submitOnce(form);
  if (event.target.type === "file") {
    byId("flash").replaceChildren();
    showChosen(event.target);
  }
});

// Enter in a field changes it and submits the form: that is one wish, not two.
function submitOnce(form) {
  let isSubmitted = false;
  form.addEventListener("submit", () => { isSubmitted = true; }, { once: true });
  const preview = form.querySelector("[data-preview]"); // a click, as htmx must learn which button it was
  setTimeout(() => isSubmitted || (preview ? preview.click() : form.requestSubmit()));
}

function showChosen(input) {
  const file = input.files[0];
  const most = Number(input.dataset.most);
  const isTooLarge = file && file.size > most;
  input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
  if (isTooLarge) input.reportValidity();
  const label = byId(input.dataset.shows);
  if (!label || !file) return;
  label.textContent = file.name;
  const then = label.parentElement.querySelector("[data-then]");
  if (then) then.textContent = then.dataset.then;
}

for (const zone of document.querySelectorAll(".drop")) {
  const input = zone.querySelector("input[type=file]");
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    input.files = event.dataTransfer.files;
    showChosen(input);
    if (input.validity.valid && zone.dataset.submits !== undefined) input.form.requestSubmit();
  });
}

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.detail.elt.querySelector?.("progress[data-upload]");
  if (!bar || !event.detail.lengthComputable) return;
  bar.hidden = false;
  bar.max = event.detail.total;
  bar.value = event.detail.loaded;
});
for (const problem of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(problem, () => document.querySelectorAll("[data-upload]").forEach((bar) => { bar.hidden = true; }));
}

letMessagesPass();
showDraft();
selectedRow()?.scrollIntoView({ block: "nearest" });

// What the pages do beyond links and forms. Keys press the buttons that are on the page: the server
// never hears of anything else.
"use strict";

const byId = (id) => document.getElementById(id);

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

document.addEventListener("htmx:sendError", () => say(document.body.dataset.unreachable));
// What is asked for every second is gone, or not for this person any more: it is asked for no longer.
document.addEventListener("htmx:responseError", (event) => {
  const { elt, xhr } = event.detail;
  if (![403, 404].includes(xhr.status) || !elt.getAttribute("hx-trigger")?.startsWith("every")) return;
  const left = elt.cloneNode(true);
  left.removeAttribute("hx-get");
  left.removeAttribute("hx-trigger");
  left.querySelectorAll("progress, form, button").forEach((part) => part.remove());
  elt.replaceWith(left);
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) byId("flash").replaceChildren();
  const opener = event.target.closest("[data-opens]");
  if (opener) byId(opener.dataset.opens).showModal();
});

// ---------- forms ----------

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

document.addEventListener("htmx:afterSettle", letMessagesPass);
letMessagesPass();

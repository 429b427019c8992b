// Several people at one queue: the rows that this page has taken, and who else is here.
"use strict";

window.together = (() => {
  const form = byId("together");
  const taken = new Set();
  let isAlive = Date.now();

  const idOf = (row) => row?.replace("row-", "");
  const opened = () => idOf(byId("resolver")?.dataset.row);
  const onTheirWay = () => waiting.map((one) => idOf(one.row));

  // Rows that were taken and are neither open, nor ready to be opened, nor decided just now.
  function givenBack() {
    const kept = new Set([opened(), ahead?.row, ...onTheirWay()]);
    const left = [...taken].filter((id) => !kept.has(id));
    for (const id of left) taken.delete(id);
    return left;
  }

  function rows(ids, left = givenBack()) {
    const body = new URLSearchParams();
    for (const id of ids) body.append("row", id);
    for (const id of left) body.append("left", id);
    return body;
  }

  async function beat() {
    if (Date.now() - isAlive > Number(form.dataset.idleSeconds) * 1000) return;
    const open = [opened(), ahead?.row].filter((id) => id && taken.has(id));
    try {
      const response = await fetch(form.action, { method: "POST", body: rows(open), headers: { "HX-Request": "true" } });
      if (!response.ok || !byId("here")) return;
      htmx.swap("#here", await response.text(), { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 });
      for (const id of byId("here").dataset.lost.split(" ")) lose(id);
    } catch { /* the next sign may arrive */ }
  }

  function lose(id) {
    if (!taken.delete(id)) return;
    if (id === opened()) say(byId("here").dataset.sentence);
    if (id === ahead?.row) loadAhead();
  }

  function leave() {
    const left = [...taken].filter((id) => !onTheirWay().includes(id));
    navigator.sendBeacon(form.dataset.leave, rows([], left));
  }

  for (const name of ["keydown", "pointerdown", "wheel"]) {
    document.addEventListener(name, () => { isAlive = Date.now(); }, { passive: true });
  }
  document.addEventListener("htmx:afterSettle", (event) => {
    const isTaken = event.detail.target?.id === "lease" || byId("lease")?.matches("div[hidden]");
    if (isTaken && opened()) taken.add(opened());
  });
  window.addEventListener("pagehide", leave);
  // A page that comes back from the browser's memory has given its rows back.
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  setInterval(beat, Number(form.dataset.seconds) * 1000);

  // ---------- counters, as they change ----------

  const POLL_MS = 15_000;
  let source = null;
  let polling = 0;
  let known = null;

  function tell(text) {
    const news = JSON.parse(text);
    const split = new URLSearchParams(location.search).get("split") || "train";
    for (const tab of document.querySelectorAll("#presets [data-counts]")) {
      const count = news.counts[split]?.[tab.dataset.counts];
      if (count !== undefined) tab.querySelector("span").textContent = count;
    }
    const here = news.here.join("\n");
    if (known !== null && here !== known) beat();
    known = here;
  }

  async function poll() {
    try {
      const response = await fetch(form.dataset.poll);
      if (response.ok) tell(await response.text());
    } catch { /* the next one may arrive */ }
  }

  // A browser opens few connections to one server: a page that nobody looks at keeps none.
  function follow() {
    source?.close();
    clearInterval(polling);
    source = null;
    if (document.hidden) return;
    source = new EventSource(form.dataset.live);
    source.onmessage = (event) => tell(event.data);
    source.onerror = () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      source = null;
      polling = setInterval(poll, POLL_MS);
      poll();
    };
  }

  document.addEventListener("visibilitychange", follow);
  // The scripts of the page are all there by then.
  document.addEventListener("DOMContentLoaded", () => {
    beat();
    follow();
  });
  window.addEventListener("pagehide", () => source?.close());

  return { hold: (id) => taken.add(id), rows, beat };
})();

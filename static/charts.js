// What charts do beyond links: figures that follow a slider.
"use strict";

const grouped = (count) => count.toLocaleString("en").replaceAll(",", "\u202f");

// The cut below the histogram: its mark moves along, and the rows below it are counted.
function showCut(slider) {
  const form = slider.form;
  const counts = form.dataset.cut.split(" ").map(Number);
  const share = Number(slider.value);
  form.querySelector("output").textContent = share.toFixed(2);
  const rows = counts[Math.round(share * counts.length) - 1] ?? 0;
  const says = form.querySelector("[data-rows]");
  says.textContent = says.dataset.many.replace("{}", grouped(rows));
  const drawing = form.parentElement.querySelector("svg.drawn");
  const axis = drawing.querySelector(".mark-axis");
  const [from, to] = [axis.x1.baseVal.value, axis.x2.baseVal.value];
  let mark = drawing.querySelector(".mark-cut");
  if (!mark) {
    mark = document.createElementNS("http://www.w3.org/2000/svg", "line");
    mark.setAttribute("class", "mark-cut");
    mark.setAttribute("y1", "12");
    mark.setAttribute("y2", axis.getAttribute("y1"));
    drawing.append(mark);
  }
  for (const end of ["x1", "x2"]) mark.setAttribute(end, from + (to - from) * share);
}

for (const slider of document.querySelectorAll("form[data-cut] input[type=range]")) {
  slider.addEventListener("input", () => showCut(slider));
  showCut(slider);
}

// Dragging over the drawing moves the cut too; a click still opens a column.
for (const form of document.querySelectorAll("form[data-cut]")) {
  const drawing = form.parentElement.querySelector("svg.drawn");
  const slider = form.querySelector("input[type=range]");
  let begun = null;
  const follow = (event) => {
    const axis = drawing.querySelector(".mark-axis").getBoundingClientRect();
    const share = (event.clientX - axis.left) / axis.width;
    slider.value = String(share);
    showCut(slider);
  };
  drawing.addEventListener("pointerdown", (event) => { begun = event.clientX; });
  drawing.addEventListener("pointermove", (event) => {
    if (begun === null || event.buttons !== 1 || Math.abs(event.clientX - begun) < 4) return;
    if (!drawing.hasPointerCapture(event.pointerId)) drawing.setPointerCapture(event.pointerId);
    follow(event);
  });
  drawing.addEventListener("pointerup", () => { begun = null; });
  drawing.addEventListener("dragstart", (event) => event.preventDefault());
  drawing.addEventListener("click", (event) => {
    if (drawing.dataset.dragged) event.preventDefault();
    delete drawing.dataset.dragged;
  });
  drawing.addEventListener("gotpointercapture", () => { drawing.dataset.dragged = "1"; });
}

// The least probability of an auto-fix: slider and number are one, and say how many rows they mean.
for (const group of document.querySelectorAll("[data-slide]")) {
  const counts = group.dataset.slide.split(" ").map(Number);
  const [slider, number] = group.querySelectorAll("input");
  const says = group.parentElement.querySelector("[data-rows]");
  const tell = () => {
    const rows = counts[Math.min(Math.floor(Number(slider.value) * counts.length + 1e-6), counts.length - 1)];
    says.textContent = says.dataset[rows === 1 ? "one" : "many"].replace("{}", grouped(rows));
  };
  const choose = () => { group.closest(".check").querySelector("[type=radio]").checked = true; };
  slider.addEventListener("input", () => { number.value = slider.value; choose(); tell(); });
  number.addEventListener("input", () => { slider.value = number.value; choose(); tell(); });
  tell();
}

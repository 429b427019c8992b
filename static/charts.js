// What charts do beyond links: a picture for those who ask for one, drawn here with this machine's letters.
"use strict";

const SHARP = 2; // dots of the picture for each pixel of a page

document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-draws]");
  if (!link) return;
  event.preventDefault();
  const picture = new Image();
  picture.src = link.href;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Number(link.dataset.width) * SHARP;
  canvas.height = Number(link.dataset.height) * SHARP;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((file) => {
    const saver = document.createElement("a");
    saver.href = URL.createObjectURL(file);
    saver.download = link.dataset.draws;
    saver.click();
    setTimeout(() => URL.revokeObjectURL(saver.href), 10_000);
  }, "image/png");
});

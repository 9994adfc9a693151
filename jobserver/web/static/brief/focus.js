// The frame in which a visitor says what stays in the picture when it is cut: by a click, or by sliders.

import { byId } from "../shared/dom.js";
import { fit, placement, prepare } from "./drawing.js";

const MAX_HEIGHT = 240;  // CSS pixels

const canvas = byId("focus");

/** The whole clip, what is cut away darker, and a cross at the focus. */
export function draw({ picture, source }, look, frame) {
  if (!canvas.checkVisibility()) return;
  const width = fit(canvas, source, MAX_HEIGHT);
  const context = prepare(canvas, source, width);
  context.drawImage(picture, 0, 0, source.width, source.height);
  const { crop } = placement(source, frame, look);
  const shade = new Path2D();
  shade.rect(0, 0, source.width, source.height);
  shade.rect(crop.left, crop.top, crop.width, crop.height);
  context.fillStyle = "rgb(0 0 0 / 55%)";
  context.fill(shade, "evenodd");
  drawCross(context, look.focus[0] * source.width, look.focus[1] * source.height, source.width / width);
}

function drawCross(context, x, y, pixel) {
  for (const [color, thickness] of [["#000000", 4], ["#ffffff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = thickness * pixel;
    context.beginPath();
    context.arc(x, y, 9 * pixel, 0, 2 * Math.PI);
    context.moveTo(x - 14 * pixel, y);
    context.lineTo(x + 14 * pixel, y);
    context.moveTo(x, y - 14 * pixel);
    context.lineTo(x, y + 14 * pixel);
    context.stroke();
  }
}

function onClick({ offsetX, offsetY }) {
  const shares = [offsetX / canvas.clientWidth, offsetY / canvas.clientHeight];
  const sliders = byId("brief").querySelectorAll('[data-field="focus"]');
  sliders.forEach((slider, place) => { slider.value = shares[place]; });
  sliders[0].dispatchEvent(new Event("input", { bubbles: true }));
}

export function init() {
  canvas.addEventListener("click", onClick);
}

// The picture of an output, drawn to a canvas as the server renders it: format, fit, focus, mirror.
// Lengths are pixels of the output; the canvas is scaled to them. Text and logo: overlays.js.

const MAX_ENLARGING = Number(document.documentElement.dataset.maxEnlarging);
const BLUR_SCALE = 40;  // scaled down and up by this much, a picture is about as blurred as the server makes it

export const sizeOf = (picture) => ({
  width: picture.videoWidth ?? picture.naturalWidth,
  height: picture.videoHeight ?? picture.naturalHeight,
});

/** Whether there is a frame to draw. picture: an img or a video. */
export const isReady = (picture) => picture instanceof HTMLVideoElement
  ? picture.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && picture.videoWidth > 0
  : picture.complete && picture.naturalWidth > 0;

/** Width and height of an output. format: as "9:16"; shortSide: of a format in pixels. */
export function frameSize(format, shortSide, source) {
  if (format === "source") return source;
  const [across, down] = format.split(":").map(Number);
  const scale = shortSide / Math.min(across, down);
  return { width: Math.round(across * scale), height: Math.round(down * scale) };
}

/** Where the source lies in the frame, and which part of it is seen: {box, crop}. */
export function placement(source, frame, { fit, focus }) {
  const ratios = [frame.width / source.width, frame.height / source.height];
  const scale = Math.min(MAX_ENLARGING, fit === "crop" ? Math.max(...ratios) : Math.min(...ratios));
  const [across, down] = [[source.width, frame.width, focus[0]], [source.height, frame.height, focus[1]]]
    .map(([side, whole, middle]) => span(side, whole, scale, middle));
  return {
    box: { left: across.at, top: down.at, width: across.length, height: down.length },
    crop: { left: across.from, top: down.from, width: across.seen, height: down.seen },
  };
}

/** One side: which part of the source is seen, around the focus, and where it lies. */
function span(side, whole, scale, focus) {
  const length = Math.min(side * scale, whole);
  const share = length / (side * scale);
  const start = Math.min(Math.max(focus - share / 2, 0), 1 - share);
  return { at: (whole - length) / 2, length, from: start * side, seen: share * side };
}

/** Return the largest width of a frame inside its parent, at most this high; the canvas gets it. */
export function fit(canvas, frame, height) {
  const width = Math.min(canvas.parentElement.clientWidth, (height * frame.width) / frame.height);
  canvas.style.width = `${width}px`;
  return width;
}

/** Scale a canvas so that one unit is a pixel of the output; return what draws on it. */
export function prepare(canvas, frame, cssWidth) {
  const width = Math.max(1, Math.round(cssWidth * devicePixelRatio));
  const height = Math.max(1, Math.round((width * frame.height) / frame.width));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(width / frame.width, 0, 0, height / frame.height, 0, 0);
  return context;
}

/** Draw the clip in its frame. clip: {picture, source}; look: {fit, padColor, focus, mirror} */
export function drawClip(context, frame, { picture, source }, look) {
  const { box, crop } = placement(source, frame, look);
  const scale = sizeOf(picture).width / source.width;  // a picture may be a smaller one of the source
  context.save();
  if (look.mirror) context.transform(-1, 0, 0, 1, frame.width, 0);
  if (look.fit === "pad") fill(context, frame, look.padColor);
  else drawBlurred(context, frame, picture, source);
  context.drawImage(picture, ...[crop.left, crop.top, crop.width, crop.height].map((each) => each * scale),
    box.left, box.top, box.width, box.height);
  context.restore();
}

function fill(context, frame, color) {
  context.fillStyle = color;
  context.fillRect(0, 0, frame.width, frame.height);
}

/** The clip itself behind the clip: covers the frame, out of focus. */
function drawBlurred(context, frame, picture, source) {
  const small = new OffscreenCanvas(...[frame.width, frame.height].map((side) => Math.ceil(side / BLUR_SCALE)));
  const scale = Math.max(small.width / source.width, small.height / source.height);
  const [width, height] = [source.width * scale, source.height * scale];
  small.getContext("2d").drawImage(picture, (small.width - width) / 2, (small.height - height) / 2, width, height);
  context.drawImage(small, 0, 0, frame.width, frame.height);
}

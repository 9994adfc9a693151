// What lies over the clip in the preview: headline, logo, and the edge of the safe zone. The numbers are
// those of the server (jobserver/render/text/), which has the last word on where lines break.

const { headlineFont, headlineShape, safeZones } = document.documentElement.dataset;
const SAFE_ZONES = JSON.parse(safeZones);  // format -> shares of the frame that are kept free at each side
const SHAPE = JSON.parse(headlineShape);  // shares of the height of a line; logoGap, leastZone: see headlineZone
const SHRINK = 0.94;
const MIN_LINE = 6;  // pixels
const DASH = 8;  // CSS pixels

const font = new FontFace("headline", `url("${headlineFont}")`);
const ratioOf = (format) => format.split(":").reduce((across, down) => across / down);

/** Load the font of headlines, once; resolves when text can be drawn, with or without it. */
export const loadFont = () => font.load().then((loaded) => document.fonts.add(loaded), () => {});

/** The part of a frame that a headline and a logo keep to: that of the format of the nearest shape. */
export function safeZone({ width, height }) {
  const distance = (format) => Math.abs(ratioOf(format) - width / height);
  const nearest = Object.keys(SAFE_ZONES).reduce((one, other) => distance(other) < distance(one) ? other : one);
  const { left, top, right, bottom } = SAFE_ZONES[nearest];
  return { left: width * left, top: height * top, width: width * (1 - left - right), height: height * (1 - top - bottom) };
}

/** What a headline keeps to: the safe zone below or above a logo, or all of it where that leaves too little. */
function headlineZone(frame, logo) {
  const safe = safeZone(frame);
  if (!logo) return safe;
  const gap = SHAPE.logoGap * frame.height;
  const below = logo.top + logo.height + gap;
  const heights = { below: safe.top + safe.height - below, above: logo.top - gap - safe.top };
  const zone = heights.below >= heights.above ? { ...safe, top: below, height: heights.below }
    : { ...safe, height: heights.above };
  return zone.height >= SHAPE.leastZone * safe.height ? zone : safe;
}

export function drawSafeZone(context, zone, pixel) {
  context.save();
  context.setLineDash([DASH * pixel, DASH * pixel]);
  context.lineWidth = 2 * pixel;
  ["#000000", "#ffffff"].forEach((color, index) => {
    context.strokeStyle = color;
    context.lineDashOffset = index * DASH * pixel;
    context.strokeRect(zone.left, zone.top, zone.width, zone.height);
  });
  context.restore();
}

/** headline: as in the brief. logo: its box in the frame, null without one. */
export function drawHeadline(context, frame, headline, logo) {
  const zone = headlineZone(frame, logo);
  const { lines, line, width, height } = fitted(context, headline, frame, zone);
  const left = Math.min(Math.max((frame.width - width) / 2, zone.left), zone.left + zone.width - width);
  const top = topOf(headline.position, height, zone, safeZone(frame));
  if (headline.background) {
    context.fillStyle = headline.background;
    context.beginPath();
    context.roundRect(left, top, width, height, SHAPE.radius * line);
    context.fill();
  }
  context.fillStyle = headline.color;
  context.textAlign = "center";
  lines.forEach((text, index) =>
    context.fillText(text, left + width / 2, top + line * (SHAPE.paddingDown + index + SHAPE.baseline)));
}

/** Where a headline of this height begins; one in the middle is in that of the safe zone as far as its own allows. */
function topOf(position, height, zone, safe) {
  const lowest = zone.top + zone.height - height;
  const middle = safe.top + (safe.height - height) / 2;
  return { top: zone.top, middle: Math.min(Math.max(middle, zone.top), lowest), bottom: lowest }[position];
}

/** The lines of a text in the largest letters, at most of the wanted size, that fit into the zone. */
function fitted(context, { text, size }, frame, zone) {
  for (let line = size * frame.height; ; line *= SHRINK) {
    context.font = `700 ${SHAPE.fontSize * line}px headline, sans-serif`;
    const padding = { across: 2 * SHAPE.paddingAcross * line, down: 2 * SHAPE.paddingDown * line };
    const lines = wrap(context, text, zone.width - padding.across);
    const width = Math.max(...lines.map((each) => context.measureText(each).width)) + padding.across;
    const height = lines.length * line + padding.down;
    if ((width <= zone.width + 1 && height <= zone.height) || line < MIN_LINE) return { lines, line, width, height };
  }
}

/** Break a text into lines of at most this width, at spaces; a longer word stays one line. */
const wrap = (context, text, width) => text.split("\n").flatMap((paragraph) =>
  paragraph.split(/\s+/).reduce((lines, word) => {
    const longer = `${lines.at(-1) ?? ""} ${word}`.trim();
    const fits = lines.length > 0 && context.measureText(longer).width <= width;
    return fits ? [...lines.slice(0, -1), longer] : [...lines, word];
  }, []));

/** Where a logo lies in the frame. picture: img. logo: as in the brief */
export function logoBox(frame, picture, { corner, width }) {
  const zone = safeZone(frame);
  const scale = Math.min((frame.width * width) / picture.naturalWidth, zone.width / picture.naturalWidth,
    zone.height / picture.naturalHeight);
  const [across, down] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
  return {
    left: corner.endsWith("left") ? zone.left : zone.left + zone.width - across,
    top: corner.startsWith("top") ? zone.top : zone.top + zone.height - down,
    width: across,
    height: down,
  };
}

export function drawLogo(context, picture, box, opacity) {
  context.globalAlpha = opacity;
  context.drawImage(picture, box.left, box.top, box.width, box.height);
  context.globalAlpha = 1;
}

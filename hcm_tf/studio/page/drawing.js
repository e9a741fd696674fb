/** From values before tanh to pixels on a canvas. */

/** Paints the picture itself: tanh, and [-1, 1] to 256 levels. */
export function paint(canvas, logits, model, scale = 1) {
  const { imageSize, channels } = model;
  const image = new ImageData(imageSize, imageSize);
  fill(image, logits, channels, toGrey);
  put(canvas, image, scale);
}

/** Paints one picture left of a column and another right of it. */
export function paintWipe(canvas, left, right, column, model, scale) {
  const { imageSize, channels } = model;
  const image = new ImageData(imageSize, imageSize);
  fill(image, right.map((value, place) => (Math.floor(place / channels) % imageSize < column ? left[place] : value)), channels, toGrey);
  put(canvas, image, scale);
}

/** Paints a difference, orange where it adds light and blue where it takes; returns its largest value. */
export function paintDifference(canvas, before, after, model, scale) {
  const { imageSize, channels } = model;
  const image = new ImageData(imageSize, imageSize);
  const difference = after.map((value, place) => value - before[place]);
  const most = largest(difference);
  for (let pixel = 0; pixel < imageSize ** 2; pixel += 1) {
    let sum = 0;
    for (let colour = 0; colour < channels; colour += 1) sum += difference[pixel * channels + colour] / channels;
    const share = most ? sum / most : 0;
    const ends = share > 0 ? [230, 120, 20] : [40, 110, 220];
    ends.forEach((end, colour) => { image.data[4 * pixel + colour] = Math.round(245 + (end - 245) * Math.abs(share)); });
    image.data[4 * pixel + 3] = 255;
  }
  put(canvas, image, scale);
  return most;
}

/**
 * Paints where a part adds something, around a middle grey: square roots of its values,
 * scaled to the largest, because most of a part is faint beside its strongest line.
 */
export function paintPart(canvas, logits, model) {
  const { imageSize, channels } = model;
  const most = largest(logits) || 1;
  const image = new ImageData(imageSize, imageSize);
  fill(image, logits, channels, (value) => Math.round(127.5 * (Math.sign(value) * Math.sqrt(Math.abs(value) / most) + 1)));
  put(canvas, image, 1, around(boxOf(logits, model), model));
}

/** Outlines pixels {top, left, bottom, right} of the picture. */
export function outline(canvas, box, model) {
  const scale = canvas.width / model.imageSize;
  const context = canvas.getContext("2d");
  const sides = [box.left * scale, box.top * scale, (box.right - box.left) * scale, (box.bottom - box.top) * scale];
  for (const [colour, width] of [["#000", 0.75], ["#ffb000", 0.4]]) {
    context.strokeStyle = colour;
    context.lineWidth = scale * width;
    context.strokeRect(...sides);
  }
}

const toGrey = (value) => Math.round(127.5 * (Math.tanh(value) + 1));

function largest(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

function fill(image, values, channels, grey) {
  for (let pixel = 0; pixel < image.width * image.height; pixel += 1) {
    for (let colour = 0; colour < 3; colour += 1) {
      image.data[4 * pixel + colour] = grey(values[pixel * channels + (channels === 1 ? 0 : colour)]);
    }
    image.data[4 * pixel + 3] = 255;
  }
}

/** The pixels {top, left, bottom, right} of what is at least a tenth of the largest value; null: nothing is. */
export function boxOf(values, { imageSize, channels }) {
  const most = largest(values);
  if (most === 0) return null;
  const box = { top: imageSize, left: imageSize, bottom: 0, right: 0 };
  values.forEach((value, place) => {
    if (Math.abs(value) < most / 10) return;
    const row = Math.floor(place / (imageSize * channels)), column = Math.floor(place / channels) % imageSize;
    Object.assign(box, { top: Math.min(box.top, row), left: Math.min(box.left, column), bottom: Math.max(box.bottom, row + 1), right: Math.max(box.right, column + 1) });
  });
  return box;
}

/** The square around a box, or of the whole picture. */
function around(box, { imageSize }) {
  if (!box) return { top: 0, left: 0, side: imageSize };
  const side = Math.max(box.bottom - box.top, box.right - box.left);
  return { top: Math.min(box.top, imageSize - side), left: Math.min(box.left, imageSize - side), side };
}

function put(canvas, image, scale, part = { top: 0, left: 0, side: image.width }) {
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.width = canvas.height = part.side * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, part.left, part.top, part.side, part.side, 0, 0, canvas.width, canvas.height);
}

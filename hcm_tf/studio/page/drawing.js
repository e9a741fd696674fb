/** From values before tanh to pixels on a canvas. */

/** Paints the picture itself: tanh, and [-1, 1] to 256 levels. */
export function paint(canvas, logits, model) {
  fill(canvas, logits, model, (value) => 127.5 * (Math.tanh(value) + 1));
}

/** Paints what a part adds, around a middle grey, scaled to its own largest value. */
export function paintPart(canvas, logits, model) {
  let most = 1e-9;
  for (const value of logits) most = Math.max(most, Math.abs(value));
  fill(canvas, logits, model, (value) => 127.5 * (value / most + 1));
}

/** Outlines pixels {top, left, bottom, right} of the picture. */
export function outline(canvas, box, model, colour) {
  const scale = canvas.width / model.imageSize;
  const context = canvas.getContext("2d");
  context.strokeStyle = colour;
  context.lineWidth = scale / 2;
  context.strokeRect(box.left * scale, box.top * scale, (box.right - box.left) * scale, (box.bottom - box.top) * scale);
}

function fill(canvas, logits, { imageSize, channels }, grey) {
  const scale = canvas.id === "picture" ? 8 : 1;
  const image = new ImageData(imageSize, imageSize);
  for (let pixel = 0; pixel < imageSize * imageSize; pixel += 1) {
    for (let colour = 0; colour < 3; colour += 1) {
      image.data[4 * pixel + colour] = Math.round(grey(logits[pixel * channels + (channels === 1 ? 0 : colour)]));
    }
    image.data[4 * pixel + 3] = 255;
  }
  const small = new OffscreenCanvas(imageSize, imageSize);
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.width = canvas.height = imageSize * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

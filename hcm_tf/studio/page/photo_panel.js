/** A picture of one's own: shrunk here, parsed by the encoder, and refined on demand. */

import { byId } from "./dom.js";
import { chosen, freeSize, withClasses } from "./labels.js";
import { originOf } from "./state.js";

const LARGEST = 4096; // Pixels a side that are looked at.
const STEPS = 50;
const RATE = 0.02;

export class PhotoPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    Object.assign(this, { studio, pixels: null, latent: null, first: null, going: false });
    byId("photo").onchange = () => {
      const [file] = byId("photo").files;
      byId("photo").value = ""; // Else the same file could not be chosen again.
      this.open(file);
    };
    byId("refine").onclick = () => (this.going ? this.stop() : this.refine());
    const stage = byId("stage");
    stage.ondragover = (event) => event.preventDefault();
    stage.ondrop = (event) => {
      event.preventDefault();
      this.open(event.dataTransfer.files[0]);
    };
  }

  open(file) {
    if (!file) return;
    this.stop();
    this.studio.doing(async () => {
      this.pixels = await shrink(file, this.studio.model);
      this.latent = this.first = null; // Of the picture before, if this one cannot be read.
      byId("photo-error").textContent = "";
      this.show();
      this.latent = await this.studio.engine.encode(this.pixels);
      const { error } = await this.studio.engine.slope(this.latent, this.pixels);
      this.first = error;
      this.tell(error, "as the encoder reads it");
      await this.take();
    });
  }

  /** Shows the shrunk picture beside the parsed one. */
  show() {
    const { imageSize, channels } = this.studio.model;
    byId("photo-panel").hidden = false;
    const canvas = byId("photo-picture");
    canvas.width = canvas.height = imageSize;
    const image = new ImageData(imageSize, imageSize);
    for (let place = 0; place < imageSize ** 2; place += 1) {
      for (let colour = 0; colour < 3; colour += 1) image.data[4 * place + colour] = Math.round(127.5 * (this.pixels[place * channels + (channels === 1 ? 0 : colour)] + 1));
      image.data[4 * place + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  tell(error, how) {
    // The root of the mean squared error, in [-1, 1], as levels of 256.
    const levels = 127.5 * Math.sqrt(error);
    byId("photo-error").textContent = `Mean squared error ${error.toFixed(4)} ${how}: ${levels.toFixed(0)} of 256 levels a pixel.`;
  }

  take(asked = {}) {
    const { studio } = this;
    studio.history.change({ ...studio.state, origin: { ...originOf(this.latent), ...asked }, edits: [] });
    return studio.show();
  }

  stop() {
    this.going = false;
    byId("refine").textContent = "Refine";
  }

  /** Adam on the latent, as the chosen classes; see explain/refine.py. The best of all steps counts. */
  async refine() {
    if (this.first === null) return;
    this.going = true;
    byId("refine").textContent = "Stop";
    const progress = byId("refine-progress");
    progress.hidden = false;
    const { engine, model, state: { origin } } = this.studio;
    const pixels = this.pixels, free = freeSize(model), read = this.latent.slice(free);
    const asked = origin.latent === undefined ? {} : chosen(origin.classes, model);
    let latent = withClasses(this.latent, asked.classes ?? {}, model), best = { error: Infinity, latent };
    const moment = new Float64Array(latent.length), square = new Float64Array(latent.length);
    try {
      for (let step = 1; step <= STEPS + 1 && this.going && pixels === this.pixels; step += 1) {
        const { error, gradient } = await engine.slope(latent, pixels);
        if (error < best.error) best = { error, latent };
        this.tell(best.error, `after ${step - 1} steps (${this.first.toFixed(4)} before)`);
        progress.value = (step - 1) / STEPS;
        latent = latent.map((value, entry) => {
          moment[entry] = 0.9 * moment[entry] + 0.1 * gradient[entry];
          square[entry] = 0.99 * square[entry] + 0.01 * gradient[entry] ** 2;
          const change = moment[entry] / (1 - 0.9 ** step) / (Math.sqrt(square[entry] / (1 - 0.99 ** step)) + 1e-8);
          return Math.min(Math.max(value - RATE * change, -1), 1);
        });
      }
      best.latent.set(read, free); // What the encoder read stays, beside what was chosen.
      if (pixels === this.pixels) this.latent = best.latent;
    } catch (error) {
      this.studio.say(error.message);
    }
    this.stop();
    progress.hidden = true;
    if (pixels === this.pixels) this.studio.doing(() => this.take(asked));
  }
}

/** A file's middle square, or all of it as the training images were, on white, averaged over areas, in [-1, 1]. */
async function shrink(file, { imageSize, channels, resize }) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  });
  const { width, height } = bitmap, side = Math.min(width, height);
  const [across, down] = resize === "stretch" ? [width, height] : [side, side];
  // Whole pixels of the result from whole pixels of the canvas, so that areas are exact.
  const times = Math.max(1, Math.min(Math.floor(LARGEST / imageSize), Math.ceil(Math.max(across, down) / imageSize)));
  const wide = times * imageSize;
  const context = new OffscreenCanvas(wide, wide).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, wide, wide);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (width - across) / 2, (height - down) / 2, across, down, 0, 0, wide, wide);
  bitmap.close();
  const { data } = context.getImageData(0, 0, wide, wide);
  const sums = new Float64Array(imageSize * imageSize * channels);
  for (let place = 0; place < wide * wide; place += 1) {
    const to = (Math.floor(place / wide / times) * imageSize + Math.floor((place % wide) / times)) * channels;
    const [red, green, blue] = data.subarray(4 * place, 4 * place + 3);
    if (channels === 1) sums[to] += 0.299 * red + 0.587 * green + 0.114 * blue;
    else [red, green, blue].forEach((value, colour) => { sums[to + colour] += value; });
  }
  return Float32Array.from(sums, (sum) => sum / (127.5 * times * times) - 1);
}

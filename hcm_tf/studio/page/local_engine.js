/** The engine's verbs on a network in the same thread; see engine.js. */

import { blankMap } from "./convolution.js";
import { freeSize, withClasses } from "./labels.js";
import { Network } from "./network.js";
import { Prior } from "./prior.js";
import { unpack } from "./wire.js";

const KEPT = 32;

export class LocalEngine {
  /** @param {ArrayBuffer} file  what studio/model_file.py writes. */
  constructor(file) {
    const { values, arrays } = unpack(file);
    const { scales, ...model } = values;
    for (const [name, scale] of Object.entries(scales)) arrays[name] = scaled(arrays[name], scale);
    this.model = model;
    this.prior = new Prior(model.prior, freeSize(model), arrays["prior/mean"], arrays["prior/factor"], model.labels);
    this.network = new Network(model, arrays);
    this.recordings = new Map();
    this.next = 1;
  }

  latentOf(seed, truncation) {
    return this.prior.latentOf(seed, truncation);
  }

  towards(seed, other, share, truncation) {
    return this.prior.towards(seed, other, share, truncation);
  }

  trace(latent, classes = {}) {
    return this.keep(this.network.trace(withClasses(latent, classes, this.model)));
  }

  redraw(level, code) {
    return this.keep(this.network.redraw(level, this.dense(level, code)));
  }

  replay(id, level, codes) {
    const recording = this.find(id, level);
    return codes.map((code) => this.network.replay(recording, level, this.dense(level, code)));
  }

  credit(id, weights) {
    const recording = this.find(id);
    const pulled = this.network.pullBack(recording, this.picture(weights));
    return recording.codes.map((code, level) => {
      if (level < recording.lowest) return null;
      const { index, value } = units(code);
      return value.map((own, place) => own * pulled[level][index[place]]);
    });
  }

  edges(id, level, unit) {
    const recording = this.find(id, level);
    const none = { index: new Uint32Array(0), value: new Float32Array(0) };
    const value = recording.codes[level].values[unit];
    let children = none;
    if (level + 1 < this.model.levels.length) {
      const alone = this.dense(level, { index: [unit], value: [value] });
      children = units(this.network.replayOnce(recording, level, alone));
    }
    const below = Array.from({ length: level }, () => none);
    if (level > recording.lowest && value !== 0) {
      const one = this.dense(level, { index: [unit], value: [1] });
      const pulled = this.network.pullBackFrom(recording, level - 1, one);
      for (let lower = recording.lowest; lower < level; lower += 1) {
        const code = recording.codes[lower].values;
        const made = pulled[lower].map((weight, place) => weight * code[place]);
        below[lower] = units({ values: made });
      }
    }
    return { children, below };
  }

  choice(id, level, unit, count) {
    const recording = this.find(id, level);
    const { values, channels } = recording.responses[level];
    const own = values[unit], first = unit - (unit % channels);
    const others = Array.from({ length: channels }, (_, basis) => first + basis).filter((other) => other !== unit);
    others.sort((a, b) => values[b] - values[a] || a - b);
    const code = recording.codes[level].values;
    const pool = this.model.levels[level].placed ? [first, first + channels, 1] : [unit % channels, values.length, channels];
    let rejected = -Infinity;
    for (let place = pool[0]; place < pool[1]; place += pool[2]) {
      if (code[place] === 0 && values[place] !== 0) rejected = Math.max(rejected, values[place]);
    }
    const index = Uint32Array.from(others.slice(0, count));
    return {
      rank: 1 + others.filter((other) => values[other] > own).length,
      lead: others.length ? own - values[others[0]] : own,
      margin: rejected === -Infinity ? null : own - rejected,
      gate: 1, // The rules that the browser knows keep or leave out.
      index,
      response: Float32Array.from(index, (other) => values[other]),
      kept: Uint32Array.from(index, (other) => (code[other] !== 0 ? 1 : 0)),
    };
  }

  encode(pixels) {
    return this.network.encode(pixels);
  }

  slope(latent, pixels) {
    const recording = this.network.trace(latent);
    const image = recording.logits.map(Math.tanh);
    let error = 0;
    const weights = image.map((value, place) => {
      const difference = value - pixels[place];
      error += difference ** 2 / image.length;
      return (2 * difference * (1 - value ** 2)) / image.length;
    });
    const pulled = this.network.pullBack(recording, this.picture(weights));
    return { error, gradient: this.network.pullToLatent(recording, pulled[0]) };
  }

  keep(recording) {
    const id = this.next++;
    this.recordings.set(id, recording);
    if (this.recordings.size > KEPT) this.recordings.delete(this.recordings.keys().next().value);
    const codes = recording.codes.map((code) => code && units(code));
    return { id, latent: recording.latent, codes, logits: recording.logits.slice() };
  }

  find(id, level = null) {
    const recording = this.recordings.get(id);
    if (!recording) throw Object.assign(new Error("This picture is not kept any more."), { name: "Forgotten" });
    if (level !== null && level < recording.lowest) throw new Error("This picture has no code of that level.");
    this.recordings.delete(id);
    this.recordings.set(id, recording);
    return recording;
  }

  /** A code as a map whose box is no larger than its units ask for. */
  dense(level, { index, value }) {
    const { height, channels } = this.model.levels[level];
    const box = { top: height, left: height, bottom: 0, right: 0 };
    const map = blankMap(height, channels, box);
    index.forEach((unit, place) => {
      map.values[unit] = value[place];
      const row = Math.floor(unit / (height * channels)), column = Math.floor(unit / channels) % height;
      Object.assign(box, { top: Math.min(box.top, row), left: Math.min(box.left, column), bottom: Math.max(box.bottom, row + 1), right: Math.max(box.right, column + 1) });
    });
    return map;
  }

  /** Weights of pixels as a map, within the rows and columns that have any. */
  picture(weights) {
    const { imageSize, channels } = this.model;
    const box = { top: imageSize, left: imageSize, bottom: 0, right: 0 };
    weights.forEach((weight, place) => {
      if (weight === 0) return;
      const row = Math.floor(place / (imageSize * channels)), column = Math.floor(place / channels) % imageSize;
      if (row < box.top) box.top = row;
      if (row >= box.bottom) box.bottom = row + 1;
      if (column < box.left) box.left = column;
      if (column >= box.right) box.right = column + 1;
    });
    return { side: imageSize, channels, values: weights, box };
  }
}

function scaled(values, scale) {
  const made = new Float32Array(values.length);
  for (let place = 0; place < made.length; place += 1) made[place] = scale * values[place];
  return made;
}

/** What is not zero, as index and value. */
function units({ values }) {
  const index = [];
  for (let place = 0; place < values.length; place += 1) if (values[place] !== 0) index.push(place);
  return { index: Uint32Array.from(index), value: Float32Array.from(index, (place) => values[place]) };
}

/**
 * The generator and the encoder in plain arithmetic: networks/generator.py,
 * networks/blocks.py and networks/encoder.py, for one picture, skipping the zeros.
 */

import { addDoubled, blankMap, convolve, convolveBack, doubleConvolve, doubleConvolveBack, doublingKernel, halve, placeConvolve, placeConvolveBack } from "./convolution.js";
import { freeSize } from "./labels.js";

const GRID = 4;
const NEGATIVE_SLOPE = 0.2;

/**
 * One picture and every decision of its drawing.
 *
 * @typedef {{first: Uint8Array, second: Uint8Array, kept: Uint8Array}} Gates
 * @typedef {{lowest: number, latent: ?Float32Array, hidden: ?Float32Array,
 *   preferred: ?Float32Array,
 *   responses: import("./convolution.js").FeatureMap[],
 *   codes: import("./convolution.js").FeatureMap[], gates: Gates[], logits: Float32Array}}
 *   Recording  Levels below `lowest` have no response, code or gates. hidden: what the
 *   attributes' convolution takes. preferred: how much of each attribute the classes
 *   prefer; null without labels.
 */

export class Network {
  /**
   * @param {import("./engine.js").Model} model
   * @param {Object<string, Float32Array>} arrays  by name, see studio/model_file.py.
   */
  constructor(model, arrays) {
    this.levels = model.levels;
    this.size = model.imageSize;
    this.channels = model.channels;
    const layer = (name) => arrays[`${name}/kernel`] && { kernel: arrays[`${name}/kernel`], bias: arrays[`${name}/bias`] };
    this.fc = layer("fc");
    this.labelFc = layer("label_fc");
    this.labelPreferences = layer("label_preferences");
    this.free = freeSize(model);
    const inputs = this.fc.bias.length / (GRID * GRID);
    this.attributes = shaped(arrays["attributes/kernel"], inputs, this.levels[0].channels);
    this.blocks = [...this.levels, null].slice(1).map((level, number) => {
      const channels = this.levels[number].channels;
      const name = `block${number + 1}`;
      const outputs = level ? level.channels : arrays["image/kernel"].length / (25 * this.channels);
      const first = arrays[`${name}/first/kernel`];
      const shortcut = arrays[`${name}/shortcut/kernel`];
      return {
        first: number ? doublingKernel(shaped(first, channels, outputs)) : dictionary(first, channels, outputs),
        placed: number === 0,
        second: shaped(arrays[`${name}/second/kernel`], outputs, outputs),
        shortcut: shortcut && shaped(shortcut, channels, outputs),
        k: level ? level.k : null,
        outputs,
      };
    });
    this.image = shaped(arrays["image/kernel"], this.blocks.at(-1).outputs, this.channels);
    this.trunk = trunk(arrays, this.channels);
    this.encoderFc = layer("encoder/fc");
    this.encoderLabelFc = layer("encoder/label_fc");
    this.encoderOffsets = arrays["encoder/offsets"];
    this.labels = model.labels;
  }

  /** @returns {Recording} of a latent. */
  trace(latent) {
    const hidden = blankMap(GRID, this.fc.bias.length / (GRID * GRID));
    const labels = latent.subarray(this.free);
    const sums = dense(latent.subarray(0, this.free), this.fc);
    if (this.labelFc) add(sums, dense(labels, this.labelFc));
    hidden.values.set(rectify(sums));
    const response = convolve(hidden, this.attributes);
    const preferred = this.labelFc ? dense(labels, this.labelPreferences).map((value) => 2 / (1 + Math.exp(-value))) : null;
    if (preferred) multiply(response.values, preferred);
    rectify(response.values);
    const code = blankMap(GRID, response.channels);
    code.values.set(response.values);
    gated(code.values, channelTopK(response, this.levels[0].k));
    return { latent, hidden: hidden.values, preferred, ...this.draw(0, code, response) };
  }

  /** @returns {Recording} of a code, every level above it decided anew. */
  redraw(level, code) {
    return { latent: null, hidden: null, preferred: null, ...this.draw(level, code, code) };
  }

  draw(level, code, response) {
    const empty = Array(level).fill(null);
    const responses = [...empty, response], codes = [...empty, code], gates = [...empty];
    for (const block of this.blocks.slice(level)) {
      const traced = traceBlock(block, code);
      code = traced.code;
      responses.push(traced.response);
      codes.push(code);
      gates.push(traced.gates);
    }
    const logits = convolve(codes.pop(), this.image).values;
    responses.pop();
    return { lowest: level, responses, codes, gates, logits };
  }

  /** The image before tanh of any part of a level's code, through recorded gates. */
  replay(recording, level, code) {
    for (let number = level; number < this.blocks.length; number += 1) {
      code = replayBlock(this.blocks[number], code, recording.gates[number]);
    }
    return convolve(code, this.image).values;
  }

  /** What a part of a level's code makes of the next level's. */
  replayOnce(recording, level, code) {
    return replayBlock(this.blocks[level], code, recording.gates[level]);
  }

  /**
   * The adjoint of `replay` for all levels: how much each active unit, per unit of its
   * value, adds to a weighted sum of the image before tanh.
   * @param {import("./convolution.js").FeatureMap} weights  [size][size][channels].
   * @returns {Float32Array[]} of every level from the recording's lowest.
   */
  pullBack(recording, weights) {
    const last = recording.gates.length - 1;
    const found = convolveBack(weights, this.image, recording.gates[last].reached);
    return this.pullBackFrom(recording, last, found);
  }

  /** The same for a weighted sum of the entries of one level's code. */
  pullBackFrom(recording, block, found) {
    const all = [];
    for (let number = block; number >= recording.lowest; number -= 1) {
      found = pullBlock(this.blocks[number], found, recording.gates[number], recording.codes[number]);
      all[number] = found.values;
    }
    return all;
  }

  /** From a gradient of the attributes to that of the latent; 0 for labels. */
  pullToLatent(recording, attributes) {
    const y = blankMap(GRID, this.levels[0].channels);
    y.values.set(attributes);
    if (recording.preferred) multiply(y.values, recording.preferred);
    const hidden = convolveBack(y, this.attributes, recording.hidden).values;
    const { kernel, bias } = this.fc;
    return recording.latent.map((_, entry) => {
      if (entry >= this.free) return 0;
      let sum = 0;
      for (let number = 0; number < bias.length; number += 1) sum += kernel[entry * bias.length + number] * hidden[number];
      return sum;
    });
  }

  /** The latent that the encoder finds for pixels in [-1, 1], with the labels that it reads. */
  encode(pixels) {
    let x = blankMap(this.size, this.channels);
    x.values.set(pixels);
    x = leaky(convolve(x, this.trunk.image));
    for (const { first, second, shortcut } of this.trunk.blocks) {
      const y = halve(leaky(convolve(leaky(convolve(x, first)), second)), 0.25);
      if (shortcut) add(y.values, convolve(halve(x, 0.25), shortcut).values);
      x = y;
    }
    const latent = dense(x.values, this.encoderFc);
    if (!this.encoderLabelFc) return latent.map(Math.tanh);
    const labels = this.largest(dense(x.values, this.encoderLabelFc));
    const common = dense(labels, { kernel: this.encoderOffsets, bias: new Float32Array(latent.length) });
    return Float32Array.of(...latent.map((value, entry) => Math.tanh(value - common[entry])), ...labels);
  }

  /** A 1 for the first of each label's largest scores. */
  largest(scores) {
    const found = new Float32Array(scores.length);
    let first = 0;
    for (const { classes } of this.labels) {
      const own = scores.subarray(first, first + classes.length);
      found[first + own.indexOf(Math.max(...own))] = 1;
      first += classes.length;
    }
    return found;
  }
}

function traceBlock(block, x) {
  const hidden = rise(block, x);
  const first = positive(hidden.values);
  gated(hidden.values, first);
  const response = convolve(hidden, block.second);
  const second = positive(response.values);
  gated(response.values, second);
  if (block.shortcut) addDoubled(response, convolve(x, block.shortcut));
  const kept = block.k === null ? new Uint8Array(response.values.length).fill(1) : spatialTopK(response, block.k);
  const code = blankMap(response.side, response.channels);
  code.values.set(response.values);
  gated(code.values, kept);
  return { response, code, gates: withUnion({ first, second, kept }, block) };
}

/** What the image's kernel can meet: all that is kept, and without a shortcut positive. */
function withUnion(gates, { shortcut }) {
  const { second, kept } = gates;
  return { ...gates, reached: shortcut ? kept : kept.map((one, place) => one & second[place]) };
}

function replayBlock(block, x, gates) {
  const hidden = rise(block, x);
  gated(hidden.values, gates.first);
  const composed = convolve(hidden, block.second);
  gated(composed.values, gates.second);
  if (block.shortcut) addDoubled(composed, convolve(x, block.shortcut));
  gated(composed.values, gates.kept);
  return composed;
}

function pullBlock(block, y, gates, code) {
  gated(y.values, gates.kept);
  const through = { ...y, values: gated(y.values.slice(), gates.second) };
  const hidden = convolveBack(through, block.second, gates.first);
  const x = block.placed ? placeConvolveBack(hidden, block.first, code.values) : doubleConvolveBack(hidden, block.first, code.values);
  if (block.shortcut) add(x.values, convolveBack(halve(y, 1), block.shortcut, code.values).values);
  return x;
}

function rise({ placed, first }, x) {
  return placed ? placeConvolve(x, first) : doubleConvolve(x, first);
}

/** The gate of `k` channels at each location; equal values stay together. */
function channelTopK({ values, channels }, k) {
  const kept = new Uint8Array(values.length);
  for (let start = 0; start < values.length; start += channels) {
    const threshold = k === channels ? -Infinity : kthLargest(values.slice(start, start + channels), k);
    for (let place = start; place < start + channels; place += 1) kept[place] = values[place] >= threshold ? 1 : 0;
  }
  return kept;
}

/** The gate of `k` positions in each channel; equal values stay together. */
function spatialTopK({ values, channels }, k) {
  const kept = new Uint8Array(values.length);
  const competing = new Float32Array(values.length / channels);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let place = 0; place < competing.length; place += 1) competing[place] = values[place * channels + channel];
    const threshold = k === competing.length ? -Infinity : kthLargest(competing, k);
    for (let place = channel; place < values.length; place += channels) kept[place] = values[place] >= threshold ? 1 : 0;
  }
  return kept;
}

function kthLargest(values, k) {
  return values.sort()[values.length - k];
}

function rectify(values) {
  for (let place = 0; place < values.length; place += 1) if (!(values[place] > 0)) values[place] = 0;
  return values;
}

function leaky(x) {
  const { values } = x;
  for (let place = 0; place < values.length; place += 1) if (values[place] < 0) values[place] *= NEGATIVE_SLOPE;
  return x;
}

function gated(values, gate) {
  for (let place = 0; place < values.length; place += 1) if (!gate[place]) values[place] = 0;
  return values;
}

function positive(values) {
  const gate = new Uint8Array(values.length);
  for (let place = 0; place < values.length; place += 1) gate[place] = values[place] > 0 ? 1 : 0;
  return gate;
}

function add(sums, values) {
  for (let place = 0; place < sums.length; place += 1) sums[place] += values[place];
}

function multiply(values, factors) {
  for (let place = 0; place < values.length; place += 1) values[place] *= factors[place];
}

function dense(x, { kernel, bias }) {
  const sums = bias.slice();
  x.forEach((value, entry) => {
    if (value === 0) return;
    for (let number = 0; number < sums.length; number += 1) sums[number] += value * kernel[entry * sums.length + number];
  });
  return sums;
}

function shaped(values, inputs, outputs) {
  return { size: Math.sqrt(values.length / (inputs * outputs)), inputs, outputs, values };
}

/** [locations][attributes][3][3][outputs], as one kernel for each location. */
function dictionary(values, attributes, outputs) {
  const length = attributes * 9 * outputs;
  return Array.from({ length: GRID * GRID }, (_, location) => {
    const kernel = new Float32Array(length);
    for (let row = 0; row < 9 * attributes; row += 1) {
      const from = location * length + row * outputs;
      const to = ((row % 9) * attributes + Math.floor(row / 9)) * outputs;
      for (let output = 0; output < outputs; output += 1) kernel[to + output] = values[from + output];
    }
    return doublingKernel({ size: 3, inputs: attributes, outputs, values: kernel });
  });
}

function trunk(arrays, channels) {
  const image = shaped(arrays["encoder/image/kernel"], channels, arrays["encoder/image/kernel"].length / (25 * channels));
  const blocks = [];
  for (let inputs = image.outputs, name; arrays[`${(name = `encoder/down${blocks.length + 1}`)}/first/kernel`]; ) {
    const first = arrays[`${name}/first/kernel`];
    const outputs = first.length / (9 * inputs);
    const shortcut = arrays[`${name}/shortcut/kernel`];
    blocks.push({
      first: shaped(first, inputs, outputs),
      second: shaped(arrays[`${name}/second/kernel`], outputs, outputs),
      shortcut: shortcut && shaped(shortcut, inputs, outputs),
    });
    inputs = outputs;
  }
  return { image, blocks };
}

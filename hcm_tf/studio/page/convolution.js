/**
 * Convolutions that skip the zeros, and their adjoints, over square maps.
 *
 * A map's values are row-major, channels last. Its box is where it can be other than
 * zero: a part of a picture is drawn without touching the rest.
 *
 * @typedef {{top: number, left: number, bottom: number, right: number}} Box  ends excluded.
 * @typedef {{side: number, channels: number, values: Float32Array, box: Box}} FeatureMap
 * @typedef {{size: number, inputs: number, outputs: number, values: Float32Array}} Kernel
 *   values: [size][size][inputs][outputs], the scale of the equalised learning rate in it.
 */

/** @returns {FeatureMap} zeros, to be filled within a box. */
export function blankMap(side, channels, box = wholeBox(side)) {
  return { side, channels, values: new Float32Array(side * side * channels), box };
}

/** @returns {Box} */
export function wholeBox(side) {
  return { top: 0, left: 0, bottom: side, right: side };
}

function grownBox(box, by, side) {
  const inside = (value) => Math.min(Math.max(value, 0), side);
  return { top: inside(box.top - by), left: inside(box.left - by), bottom: inside(box.bottom + by), right: inside(box.right + by) };
}

/** The box that a map's doubled and convolved box makes. */
function doubledBox(box, side) {
  return grownBox({ top: 2 * box.top, left: 2 * box.left, bottom: 2 * box.bottom, right: 2 * box.right }, 1, side);
}

/** The box of what a box in the doubled and convolved map depends on. */
function halvedBox(box, side) {
  return grownBox({ top: (box.top - 1) >> 1, left: (box.left - 1) >> 1, bottom: (box.bottom + 2) >> 1, right: (box.right + 2) >> 1 }, 0, side);
}

/** Stride 1, zero padding to the same size: every entry that is not zero adds its kernel. */
export function convolve(x, kernel) {
  const { side, channels, values, box } = x;
  const { size, outputs, values: weights } = kernel;
  const reach = size >> 1;
  const made = blankMap(side, outputs, grownBox(box, reach, side));
  const sums = made.values;
  const active = new Int32Array(channels);
  for (let row = box.top; row < box.bottom; row += 1) {
    for (let column = box.left; column < box.right; column += 1) {
      const base = (row * side + column) * channels;
      const count = list(active, values, base, channels);
      if (!count) continue;
      for (let down = Math.max(-reach, -row); down <= Math.min(reach, side - 1 - row); down += 1) {
        for (let right = Math.max(-reach, -column); right <= Math.min(reach, side - 1 - column); right += 1) {
          const to = ((row + down) * side + column + right) * outputs;
          const tap = ((reach - down) * size + reach - right) * channels;
          addRows(sums, to, values, base, active, count, weights, tap, outputs);
        }
      }
    }
  }
  return made;
}

/**
 * The adjoint of `convolve`.
 * @param {ArrayLike<number>} wanted  not zero where the result is asked for,
 *   [side][side][inputs].
 */
export function convolveBack(y, kernel, wanted) {
  const { side, values, box } = y;
  const { size, inputs, outputs, values: weights } = kernel;
  const reach = size >> 1;
  const made = blankMap(side, inputs, grownBox(box, reach, side));
  const asked = new Int32Array(inputs);
  for (let row = made.box.top; row < made.box.bottom; row += 1) {
    for (let column = made.box.left; column < made.box.right; column += 1) {
      const base = (row * side + column) * inputs;
      const count = list(asked, wanted, base, inputs);
      if (!count) continue;
      for (let down = Math.max(-reach, box.top - row); down <= Math.min(reach, box.bottom - 1 - row); down += 1) {
        for (let right = Math.max(-reach, box.left - column); right <= Math.min(reach, box.right - 1 - column); right += 1) {
          const from = ((row + down) * side + column + right) * outputs;
          const tap = ((reach - down) * size + reach - right) * inputs;
          addProducts(made.values, base, asked, count, values, from, weights, tap, outputs);
        }
      }
    }
  }
  return made;
}

/**
 * Doubling pixels, then a 3x3 kernel: of every pixel 4x4 others, by sums of taps.
 * @param {Kernel} kernel  3x3.
 * @returns {Kernel} 4x4: row a, column b is what the pixel adds at (2 row + a - 1, ...).
 */
export function doublingKernel({ inputs, outputs, values }) {
  const length = inputs * outputs;
  const made = { size: 4, inputs, outputs, values: new Float32Array(16 * length) };
  const taps = [[2], [1, 2], [0, 1], [0]];
  for (let a = 0; a < 4; a += 1) {
    for (let b = 0; b < 4; b += 1) {
      for (const down of taps[a]) {
        for (const right of taps[b]) addRow(made.values, (4 * a + b) * length, 1, values, (3 * down + right) * length, length);
      }
    }
  }
  return made;
}

/** Doubles height and width by repeating pixels, then convolves: see `doublingKernel`. */
export function doubleConvolve(x, kernel) {
  const { side, channels, values, box } = x;
  const { outputs } = kernel;
  const made = blankMap(2 * side, outputs, doubledBox(box, 2 * side));
  const active = new Int32Array(channels);
  for (let row = box.top; row < box.bottom; row += 1) {
    for (let column = box.left; column < box.right; column += 1) {
      const base = (row * side + column) * channels;
      const count = list(active, values, base, channels);
      if (count) addPatch(made, row, column, values, base, active, count, kernel);
    }
  }
  return made;
}

/** The adjoint of `doubleConvolve`; `wanted` is [side][side][inputs] of the smaller map. */
export function doubleConvolveBack(y, kernel, wanted) {
  const { inputs } = kernel;
  const side = y.side / 2;
  const made = blankMap(side, inputs, halvedBox(y.box, side));
  const asked = new Int32Array(inputs);
  for (let row = made.box.top; row < made.box.bottom; row += 1) {
    for (let column = made.box.left; column < made.box.right; column += 1) {
      const base = (row * side + column) * inputs;
      const count = list(asked, wanted, base, inputs);
      if (count) addPatchProducts(made.values, base, asked, count, y, row, column, kernel);
    }
  }
  return made;
}

/**
 * `doubleConvolve` of attributes, whose kernels differ from location to location.
 * @param {Kernel[]} dictionary  of every location, row-major, as `doublingKernel` makes.
 */
export function placeConvolve(x, dictionary) {
  const { side, channels, values, box } = x;
  const made = blankMap(2 * side, dictionary[0].outputs, doubledBox(box, 2 * side));
  const active = new Int32Array(channels);
  dictionary.forEach((kernel, location) => {
    const count = list(active, values, location * channels, channels);
    if (count) addPatch(made, Math.floor(location / side), location % side, values, location * channels, active, count, kernel);
  });
  return made;
}

/** The adjoint of `placeConvolve`, where `wanted`. */
export function placeConvolveBack(y, dictionary, wanted) {
  const side = y.side / 2;
  const { inputs } = dictionary[0];
  const made = blankMap(side, inputs, halvedBox(y.box, side));
  const asked = new Int32Array(inputs);
  dictionary.forEach((kernel, location) => {
    const count = list(asked, wanted, location * inputs, inputs);
    if (count) addPatchProducts(made.values, location * inputs, asked, count, y, Math.floor(location / side), location % side, kernel);
  });
  return made;
}

/** Adds a map with its pixels doubled to one of twice the size. */
export function addDoubled(large, small) {
  const { side, channels, box } = small;
  for (let row = 2 * box.top; row < 2 * box.bottom; row += 1) {
    for (let column = 2 * box.left; column < 2 * box.right; column += 1) {
      addRow(large.values, (row * 2 * side + column) * channels, 1, small.values, ((row >> 1) * side + (column >> 1)) * channels, channels);
    }
  }
}

/** Sums of 2x2 pixels, times a factor: the adjoint of doubling with factor 1. */
export function halve(y, factor) {
  const side = y.side / 2;
  const { channels } = y;
  const made = blankMap(side, channels, halvedBox(y.box, side));
  for (let row = y.box.top; row < y.box.bottom; row += 1) {
    for (let column = y.box.left; column < y.box.right; column += 1) {
      addRow(made.values, ((row >> 1) * side + (column >> 1)) * channels, factor, y.values, (row * y.side + column) * channels, channels);
    }
  }
  return made;
}

/** Adds what a pixel of a smaller map makes of the larger one, at most 4x4 pixels. */
function addPatch(made, row, column, values, base, active, count, kernel) {
  const { side, channels } = made;
  for (let a = 0; a < 4; a += 1) {
    const down = 2 * row + a - 1;
    if (down < 0 || down >= side) continue;
    for (let b = 0; b < 4; b += 1) {
      const right = 2 * column + b - 1;
      if (right < 0 || right >= side) continue;
      addRows(made.values, (down * side + right) * channels, values, base, active, count, kernel.values, (4 * a + b) * kernel.inputs, channels);
    }
  }
}

function addPatchProducts(sums, base, asked, count, y, row, column, kernel) {
  const { side, channels } = y;
  for (let a = 0; a < 4; a += 1) {
    const down = 2 * row + a - 1;
    if (down < 0 || down >= side) continue;
    for (let b = 0; b < 4; b += 1) {
      const right = 2 * column + b - 1;
      if (right < 0 || right >= side) continue;
      addProducts(sums, base, asked, count, y.values, (down * side + right) * channels, kernel.values, (4 * a + b) * kernel.inputs, channels);
    }
  }
}

/** Lists the channels of a pixel that are not zero; returns how many. */
function list(active, values, base, channels) {
  let count = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    if (values[base + channel] !== 0) active[count++] = channel;
  }
  return count;
}

/** Adds rows of a kernel, each times its channel's value, four at a time for speed. */
function addRows(sums, to, values, base, active, count, weights, tap, outputs) {
  let number = 0;
  for (; number + 3 < count; number += 4) {
    const c0 = active[number], c1 = active[number + 1], c2 = active[number + 2], c3 = active[number + 3];
    const v0 = values[base + c0], v1 = values[base + c1], v2 = values[base + c2], v3 = values[base + c3];
    const w0 = (tap + c0) * outputs, w1 = (tap + c1) * outputs, w2 = (tap + c2) * outputs, w3 = (tap + c3) * outputs;
    for (let output = 0; output < outputs; output += 1) {
      sums[to + output] += v0 * weights[w0 + output] + v1 * weights[w1 + output] + v2 * weights[w2 + output] + v3 * weights[w3 + output];
    }
  }
  for (; number < count; number += 1) addRow(sums, to, values[base + active[number]], weights, (tap + active[number]) * outputs, outputs);
}

/** Adds the products of rows of a kernel with a pixel, four at a time for speed. */
function addProducts(sums, base, asked, count, values, from, weights, tap, outputs) {
  let number = 0;
  for (; number + 3 < count; number += 4) {
    const c0 = asked[number], c1 = asked[number + 1], c2 = asked[number + 2], c3 = asked[number + 3];
    const w0 = (tap + c0) * outputs, w1 = (tap + c1) * outputs, w2 = (tap + c2) * outputs, w3 = (tap + c3) * outputs;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let output = 0; output < outputs; output += 1) {
      const value = values[from + output];
      s0 += value * weights[w0 + output];
      s1 += value * weights[w1 + output];
      s2 += value * weights[w2 + output];
      s3 += value * weights[w3 + output];
    }
    sums[base + c0] += s0;
    sums[base + c1] += s1;
    sums[base + c2] += s2;
    sums[base + c3] += s3;
  }
  for (; number < count; number += 1) {
    let sum = 0;
    const row = (tap + asked[number]) * outputs;
    for (let output = 0; output < outputs; output += 1) sum += values[from + output] * weights[row + output];
    sums[base + asked[number]] += sum;
  }
}

function addRow(sums, to, factor, row, from, length) {
  for (let number = 0; number < length; number += 1) sums[to + number] += factor * row[from + number];
}

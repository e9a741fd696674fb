/** Messages and model files: see wire.py, which says how they are laid out. */

const TYPES = { float32: Float32Array, uint32: Uint32Array, float16: Uint16Array };

/** @returns {Blob} of plain values and flat arrays, Float32Array or Uint32Array. */
export function pack(values, arrays) {
  const listed = Object.entries(arrays).map(([name, array]) => [name, array instanceof Uint32Array ? "uint32" : "float32", array.length]);
  const header = new TextEncoder().encode(JSON.stringify({ ...values, arrays: listed }));
  const padded = new Uint8Array(Math.ceil(header.length / 4) * 4).fill(32);
  padded.set(header);
  return new Blob([new Uint32Array([padded.length]), padded, ...Object.values(arrays)]);
}

/** @returns {{values: object, arrays: Object<string, Float32Array | Uint32Array>}} */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { arrays: listed, ...values } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  let start = 4 + length;
  for (const [name, kind, size] of listed) {
    const array = new TYPES[kind](buffer, start, size);
    arrays[name] = kind === "float16" ? fromHalves(array) : array;
    start += 4 * Math.ceil((array.BYTES_PER_ELEMENT * size) / 4);
  }
  return { values, arrays };
}

function fromHalves(halves) {
  const values = new Float32Array(2 ** 16);
  for (let bits = 0; bits < values.length; bits += 1) values[bits] = fromHalf(bits);
  const made = new Float32Array(halves.length);
  for (let place = 0; place < made.length; place += 1) made[place] = values[halves[place]];
  return made;
}

/** The value of a half-precision number's 16 bits. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

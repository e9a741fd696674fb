/** The latents of seeds, as prior.py draws them on every machine. */

const MULTIPLIERS = [0x6a35, 0x7f4b, 0x5e8d, 0x6c9b, 0x4ea7, 0x75d3];
const KEY_STEP = 14201;
const UNIT = 2 ** -24;

export class Prior {
  /**
   * @param {"uniform" | "normal"} noise
   * @param {number} size  length of a latent, without labels.
   * @param {?Float32Array} mean  of atanh(latent), where the noise is normal.
   * @param {?Float32Array} factor  [size][size], of its covariance.
   * @param {{shares: number[]}[]} labels  that stand behind latents.
   */
  constructor(noise, size, mean, factor, labels) {
    Object.assign(this, { noise, size, mean, factor, labels });
  }

  /** The latent of a seed, with its labels. */
  latentOf(seed, truncation) {
    return Float32Array.of(...this.fromNoise(this.noiseOf(seed), truncation), ...this.labelsOf(seed));
  }

  /** The latent on the way from one seed's to another's; share 0 is the first. */
  towards(seed, other, share, truncation) {
    const angle = 0.5 * Math.PI * share;
    const [own, others] = this.noise === "normal" ? [Math.cos(angle), Math.sin(angle)] : [1 - share, share];
    const end = this.noiseOf(other), last = this.labelsOf(other);
    const latent = this.fromNoise(this.noiseOf(seed).map((value, place) => own * value + others * end[place]), truncation);
    return Float32Array.of(...latent, ...this.labelsOf(seed).map((value, place) => (1 - share) * value + share * last[place]));
  }

  /** A 1 for each label, at the class that the seed decides, as often as the shares say. */
  labelsOf(seed) {
    const first = this.noise === "uniform" ? this.size : 2 * this.size;
    const noise = uniformNoise(seed, first + this.labels.length).slice(first);
    return Float32Array.from(this.labels.flatMap(({ shares }, label) => {
      let bound = 0;
      const reached = shares.slice(0, -1).filter((share) => noise[label] >= Math.fround(bound += share)).length;
      return shares.map((_, place) => (place === reached ? 1 : 0));
    }));
  }

  noiseOf(seed) {
    if (this.noise === "uniform") return uniformNoise(seed, this.size);
    const noise = uniformNoise(seed, 2 * this.size);
    const { fround } = Math;
    return noise.slice(0, this.size).map((value, place) => {
      const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(fround(value + UNIT))))));
      return radius * fround(Math.cos(fround(fround(2 * Math.PI) * noise[this.size + place])));
    });
  }

  fromNoise(noise, truncation) {
    if (this.noise === "uniform") return noise.map((value) => truncation * (2 * value - 1));
    const scaled = noise.map((value) => truncation * value);
    return Float32Array.from({ length: this.size }, (_, row) => {
      let sum = 0;
      for (let column = 0; column < this.size; column += 1) sum += scaled[column] * this.factor[row * this.size + column];
      return Math.tanh(Math.fround(this.mean[row] + Math.fround(sum)));
    });
  }
}

/** A Feistel network of six rounds on seed and index: multiples of 2**-24 in [0, 1). */
function uniformNoise(seed, size) {
  return Float32Array.from({ length: size }, (_, index) => {
    let left = (seed >> 16) & 0xffff, right = seed & 0xffff;
    MULTIPLIERS.forEach((multiplier, round) => {
      const key = (index * (2 * round + 1) + KEY_STEP * round) & 0xffff;
      const mixed = (right ^ key) * multiplier;
      [left, right] = [right, left ^ ((mixed ^ (mixed >> 11)) & 0xffff)];
    });
    return (left * 256 + (right >> 8)) * UNIT;
  });
}

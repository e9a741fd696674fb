/** One picture of the model, and what its parts draw, each asked for once. */

import { latentOf } from "./state.js";

const AT_ONCE = 16;
const KEPT = 600;

export class Picture {
  /** @param {import("./engine.js").Picture} traced */
  constructor(engine, origin, traced) {
    Object.assign(this, { engine, origin, traced, parts: new Map(), edgesOf: new Map(), cells: new Map() });
    this.activations = traced.codes.map((code) => code && new Map([...code.index].map((unit, place) => [unit, code.value[place]])));
  }

  static async draw(engine, origin) {
    return new Picture(engine, origin, await engine.trace(await latentOf(origin, engine), origin.classes));
  }

  get logits() {
    return this.traced.logits;
  }

  /** The activation of a unit; 0 where it is not active. */
  value(level, unit) {
    return this.activations[level].get(unit) ?? 0;
  }

  /** The active units at the cell of a unit; the background is no part of it. */
  atCell(level, unit) {
    const { channels, always } = this.engine.model.levels[level];
    const first = unit - (unit % channels) + always;
    return Array.from({ length: channels - always }, (_, basis) => first + basis).filter((other) => this.activations[level].has(other));
  }

  /** What a unit adds to the picture before tanh. */
  async part(level, unit) {
    return (await this.partsOf(level, [unit]))[0];
  }

  /** What each of some units adds. */
  async partsOf(level, units) {
    const missing = [...new Set(units.filter((unit) => !this.parts.has(`${level}:${unit}`)))];
    for (let start = 0; start < missing.length; start += AT_ONCE) {
      const some = missing.slice(start, start + AT_ONCE);
      const codes = some.map((unit) => ({ index: Uint32Array.of(unit), value: Float32Array.of(this.value(level, unit)) }));
      const drawn = await this.withGates((id) => this.engine.replay(id, level, codes));
      some.forEach((unit, place) => this.parts.set(`${level}:${unit}`, drawn[place]));
    }
    const found = units.map((unit) => this.parts.get(`${level}:${unit}`));
    while (this.parts.size > KEPT) this.parts.delete(this.parts.keys().next().value);
    return found;
  }

  /** What all units at a unit's cell add together. */
  async cell(level, unit) {
    const units = this.atCell(level, unit);
    const key = `${level}:${unit - (unit % this.engine.model.levels[level].channels)}`;
    if (!this.cells.has(key)) {
      const code = { index: Uint32Array.from(units), value: Float32Array.from(units, (one) => this.value(level, one)) };
      this.cells.set(key, (await this.withGates((id) => this.engine.replay(id, level, [code])))[0]);
    }
    return this.cells.get(key);
  }

  /** The edges of the AND-OR tree at a unit; see `Engine.edges`. */
  async edges(level, unit) {
    const key = `${level}:${unit}`;
    if (!this.edgesOf.has(key)) this.edgesOf.set(key, await this.withGates((id) => this.engine.edges(id, level, unit)));
    if (this.edgesOf.size > KEPT) this.edgesOf.delete(this.edgesOf.keys().next().value);
    return this.edgesOf.get(key);
  }

  choice(level, unit, count) {
    return this.withGates((id) => this.engine.choice(id, level, unit, count));
  }

  /**
   * Every active unit's share of a region's energy before tanh, largest first.
   * @returns {Promise<{unit: number, share: number}[][]>} of every level; each adds up to 1.
   */
  async shares(box) {
    const { imageSize, channels } = this.engine.model;
    const weights = new Float32Array(this.logits.length);
    let energy = 0;
    for (let row = box.top; row < box.bottom; row += 1) {
      for (let place = (row * imageSize + box.left) * channels; place < (row * imageSize + box.right) * channels; place += 1) {
        weights[place] = this.logits[place];
        energy += this.logits[place] ** 2;
      }
    }
    const found = await this.withGates((id) => this.engine.credit(id, weights));
    return found.map((credits, level) => {
      const { index } = this.traced.codes[level];
      const units = [...credits].map((credit, place) => ({ unit: index[place], share: credit / (energy || 1) }));
      return units.sort((a, b) => b.share - a.share);
    });
  }

  /** Calls with the picture's id, drawing it again if its gates were forgotten. */
  async withGates(call) {
    try {
      return await call(this.traced.id);
    } catch (error) {
      if (error.name !== "Forgotten") throw error;
      this.traced = await this.engine.trace(this.traced.latent);
      return call(this.traced.id);
    }
  }
}

/** The picture of a state: edits through recorded gates, or decided anew. */

/** Draws states of one original picture; a part's picture is asked for once. */
export class Composer {
  constructor(engine, picture) {
    this.engine = engine;
    this.model = engine.model;
    this.picture = picture;
    this.parts = new Map();
  }

  /** The activation of a unit; 0 where it is not active. */
  value(level, unit) {
    const { index, value } = this.picture.codes[level];
    const place = index.indexOf(unit);
    return place < 0 ? 0 : value[place];
  }

  /** What a unit adds to the picture before tanh. */
  async part(level, unit) {
    const key = `${level}:${unit}`;
    if (!this.parts.has(key)) {
      const code = { index: Uint32Array.of(unit), value: Float32Array.of(this.value(level, unit)) };
      const [logits] = await this.withGates((id) => this.engine.replay(id, level, [code]));
      this.parts.set(key, logits);
    }
    return this.parts.get(key);
  }

  /** Calls with the picture's id, drawing it again if its gates were forgotten. */
  async withGates(call) {
    try {
      return await call(this.picture.id);
    } catch (error) {
      if (error.name !== "Forgotten") throw error;
      this.picture = await this.engine.trace(this.picture.latent);
      return call(this.picture.id);
    }
  }

  /** {logits, rechosen}: rechosen counts units that the levels above chose differently. */
  async draw({ edits, anew }) {
    const active = edits.filter((edit) => edit.on);
    if (!active.length) return { logits: this.picture.logits, rechosen: null };
    return anew ? this.redraw(active) : { logits: await this.recorded(active), rechosen: null };
  }

  async recorded(edits) {
    const total = Float64Array.from(this.picture.logits);
    for (const { level, unit, factor, rows, columns } of edits) {
      const part = await this.part(level, unit);
      const { cell } = this.model.levels[level];
      add(total, part, -1, 0, 0, this.model);
      add(total, part, factor, rows * cell, columns * cell, this.model);
    }
    return Float32Array.from(total);
  }

  async redraw(edits) {
    const level = edits[0].level;
    if (edits.some((edit) => edit.level !== level)) {
      throw new Error("Finer parts can adapt to changes of one size at a time: switch the others off.");
    }
    const { height, width, channels } = this.model.levels[level];
    const { index, value } = this.picture.codes[level];
    const code = new Map([...index].map((unit, place) => [unit, value[place]]));
    for (const { unit } of edits) code.delete(unit);
    for (const { unit, factor, rows, columns } of edits) {
      const row = Math.floor(unit / (width * channels)) + rows;
      const column = (Math.floor(unit / channels) % width) + columns;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      const place = (row * width + column) * channels + (unit % channels);
      code.set(place, factor * this.value(level, unit));
    }
    const drawn = await this.engine.redraw(level, { index: Uint32Array.from(code.keys()), value: Float32Array.from(code.values()) });
    let rechosen = 0;
    for (let above = level + 1; above < this.model.levels.length; above += 1) {
      const kept = new Set(this.picture.codes[above].index);
      for (const unit of drawn.codes[above].index) rechosen += kept.has(unit) ? 0 : 1;
    }
    return { logits: drawn.logits, rechosen };
  }
}

function add(total, part, factor, down, right, { imageSize, channels }) {
  if (factor === 0) return;
  for (let row = 0; row < imageSize; row += 1) {
    for (let column = 0; column < imageSize; column += 1) {
      const [to, at] = [row + down, column + right];
      if (to < 0 || to >= imageSize || at < 0 || at >= imageSize) continue;
      for (let colour = 0; colour < channels; colour += 1) {
        total[(to * imageSize + at) * channels + colour] += factor * part[(row * imageSize + column) * channels + colour];
      }
    }
  }
}

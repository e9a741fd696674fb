/** The picture of a state: edits through recorded gates, or decided anew. */

import { Picture } from "./picture.js";

const KEPT = 32;

/** Draws states; keeps the pictures that it drew last, and their parts. */
export class Composer {
  constructor(engine) {
    this.engine = engine;
    this.model = engine.model;
    this.pictures = new Map();
  }

  /** @returns {Promise<Picture>} of an origin. */
  async open(origin) {
    const key = JSON.stringify(origin);
    const found = this.pictures.get(key) ?? (await Picture.draw(this.engine, origin));
    this.pictures.delete(key);
    this.pictures.set(key, found);
    if (this.pictures.size > KEPT) this.pictures.delete(this.pictures.keys().next().value);
    return found;
  }

  /** {logits, rechosen}: how many units, of how many, the levels above chose that were not chosen before. */
  async draw({ origin, edits, anew }) {
    const picture = await this.open(origin);
    const active = edits.filter((edit) => edit.on);
    if (!active.length) return { logits: picture.logits, rechosen: null };
    return anew ? this.redraw(picture, active) : { logits: await this.recorded(picture, active), rechosen: null };
  }

  /**
   * Level by level from the lowest: a change multiplies what the changes below have left
   * of the unit, and adds the difference that this makes to the picture.
   */
  async recorded(picture, edits) {
    const total = Float64Array.from(picture.logits);
    const adjusted = [];
    for (const [level, { cell }] of this.model.levels.entries()) {
      const here = edits.filter((edit) => edit.level === level);
      const changes = changesOf(picture.activations[level], this.model.levels[level], here);
      adjusted[level] = new Map();
      for (const [unit, { factor, rows, columns }] of changes) {
        const value = picture.value(level, unit);
        const now = value + (await inherited(picture, adjusted, level, unit));
        const moved = rows !== 0 || columns !== 0;
        const adjustment = moved ? -now : (factor - 1) * now;
        if (adjustment === 0 && !moved) continue;
        adjusted[level].set(unit, adjustment);
        const part = await picture.part(level, unit);
        add(total, part, adjustment / value, 0, 0, this.model);
        if (moved) add(total, part, (factor * now) / value, rows * cell, columns * cell, this.model);
      }
      for (const { do: kind, unit, factor, rows, columns, donor } of here) {
        if (kind === "change") continue;
        const source = await this.open(donor);
        const part = await (kind === "swap" ? source.cell(level, unit) : source.part(level, unit));
        add(total, part, factor, rows * cell, columns * cell, this.model);
      }
    }
    return Float32Array.from(total);
  }

  /** Level by level from the lowest: the changed code, and all above it decided again. */
  async redraw(picture, edits) {
    let drawn = picture.traced;
    const lowest = Math.min(...edits.map((edit) => edit.level));
    for (const [level, shape] of this.model.levels.entries()) {
      const here = edits.filter((edit) => edit.level === level);
      if (!here.length) continue;
      const { index, value } = drawn.codes[level];
      const before = new Map([...index].map((unit, place) => [unit, value[place]]));
      const code = new Map(before);
      const changes = changesOf(before, shape, here);
      for (const unit of changes.keys()) code.delete(unit);
      for (const [unit, { factor, rows, columns, gone }] of changes) if (!gone) put(code, shape, unit, factor * before.get(unit), rows, columns);
      for (const { do: kind, unit, factor, rows, columns, donor } of here) {
        if (kind === "change") continue;
        const source = await this.open(donor);
        for (const one of kind === "swap" ? source.atCell(level, unit) : [unit]) put(code, shape, one, factor * source.value(level, one), rows, columns);
      }
      const below = drawn.codes;
      const units = { index: Uint32Array.from(code.keys()), value: Float32Array.from(code.values()) };
      drawn = await picture.withGates((id) => this.engine.redraw(level, units, id));
      drawn = { ...drawn, codes: drawn.codes.map((found, number) => found ?? below[number]) };
    }
    return { logits: drawn.logits, rechosen: othersThan(drawn.codes, picture, lowest) };
  }
}

/** {count, of}: of the active units above a level, how many are not active in a picture. */
export function othersThan(codes, picture, lowest = -1) {
  const above = codes.flatMap((code, level) => (level > lowest ? [...code.index].map((unit) => [level, unit]) : []));
  const others = above.filter(([level, unit]) => !picture.activations[level].has(unit));
  return { count: others.length, of: above.length };
}

/** What happens to the active units of a level: what a swap replaces, goes; the background stays. */
function changesOf(active, { channels, always }, edits) {
  const changes = new Map();
  for (const edit of edits) if (edit.do === "change" && active.has(edit.unit)) changes.set(edit.unit, edit);
  for (const { do: kind, unit } of edits) {
    if (kind !== "swap") continue;
    const first = unit - (unit % channels);
    for (let own = first + always; own < first + channels; own += 1) if (active.has(own)) changes.set(own, { factor: 0, rows: 0, columns: 0, gone: true });
  }
  return changes;
}

/** What adjustments of lower levels add to a unit, through the recorded gates. */
async function inherited(picture, adjusted, level, unit) {
  let sum = 0;
  if (!adjusted.some((changes) => changes.size)) return sum;
  const { below } = await picture.edges(level, unit);
  for (const [lower, { index, value }] of below.entries()) {
    for (const [place, other] of index.entries()) {
      const adjustment = adjusted[lower].get(other);
      if (adjustment) sum += (value[place] * adjustment) / picture.value(lower, other);
    }
  }
  return sum;
}

function put(code, { height, width, channels }, unit, value, rows, columns) {
  const row = Math.floor(unit / (width * channels)) + rows;
  const column = (Math.floor(unit / channels) % width) + columns;
  if (row < 0 || row >= height || column < 0 || column >= width) return;
  code.set((row * width + column) * channels + (unit % channels), value);
}

function add(total, part, factor, down, right, { imageSize, channels }) {
  if (factor === 0) return;
  if (down === 0 && right === 0) {
    for (let place = 0; place < total.length; place += 1) total[place] += factor * part[place];
    return;
  }
  for (let row = Math.max(0, -down); row < Math.min(imageSize, imageSize - down); row += 1) {
    for (let column = Math.max(0, -right); column < Math.min(imageSize, imageSize - right); column += 1) {
      for (let colour = 0; colour < channels; colour += 1) {
        total[((row + down) * imageSize + column + right) * channels + colour] += factor * part[(row * imageSize + column) * channels + colour];
      }
    }
  }
}

/** Names that people give to basis functions, kept with the model. */

export const LONGEST = 80;

/** What a unit's basis function is called in a file of names: see explain/names.py. */
export function keyOf(model, level, unit) {
  const { name, width, channels, placed } = model.levels[level];
  const place = placed ? `${Math.floor(unit / (width * channels))},${Math.floor(unit / channels) % width}:` : "";
  return `${name}:${place}${unit % channels}`;
}

export class Names {
  constructor(engine, known) {
    this.engine = engine;
    this.known = known;
  }

  static async read(engine) {
    return new Names(engine, await engine.readNames());
  }

  of(level, unit) {
    return this.known[keyOf(this.engine.model, level, unit)] ?? "";
  }

  async set(level, unit, name) {
    const key = keyOf(this.engine.model, level, unit);
    const cleaned = name.replace(/\p{C}/gu, " ").trim().slice(0, LONGEST);
    this.known = await this.engine.rename(key, cleaned);
  }

  toText() {
    return JSON.stringify({ model: this.engine.model.hash, names: this.known }, null, 1);
  }
}

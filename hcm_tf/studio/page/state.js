/**
 * What is on the table, as plain data; the picture is a function of it.
 *
 * @typedef {{level: number, unit: number, factor: number, rows: number, columns: number,
 *   on: boolean}} Edit  factor: times its activation; moved by cells of its level.
 * @typedef {{seed: number, truncation: number, anew: boolean, edits: Edit[]}} State
 */

export const VERSION = 1;

/** States one can go back and forth in without end. */
export class History {
  constructor(state) {
    this.states = [state];
    this.place = 0;
  }

  get state() {
    return this.states[this.place];
  }

  change(state) {
    this.states.splice(this.place + 1);
    this.place = this.states.push(state) - 1;
  }

  step(by) {
    this.place = Math.min(Math.max(this.place + by, 0), this.states.length - 1);
  }
}

/** A state as text for a link; only for the model of this hash. */
export function toLink(state, hash) {
  return encodeURIComponent(JSON.stringify({ version: VERSION, model: hash, ...state }));
}

/**
 * A link's state.
 * @throws {Error} one sentence: damaged, of another version or model.
 */
export function fromLink(text, model) {
  let found;
  try {
    found = JSON.parse(decodeURIComponent(text));
  } catch {
    throw new Error("This link is damaged.");
  }
  if (found === null || typeof found !== "object") throw new Error("This link is damaged.");
  if (found.version !== VERSION) throw new Error("This link was made by another version of the studio.");
  if (found.model !== model.hash) throw new Error("This link belongs to another model.");
  const { seed, truncation, anew, edits } = found;
  const fits = isInteger(seed, -(2 ** 31), 2 ** 31 - 1) && isNumber(truncation, 0, 1) && typeof anew === "boolean" &&
    Array.isArray(edits) && edits.length <= 500 && edits.every((edit) => isEdit(edit, model));
  if (!fits) throw new Error("This link is damaged.");
  return { seed, truncation, anew, edits: edits.map(({ level, unit, factor, rows, columns, on }) => ({ level, unit, factor, rows, columns, on })) };
}

function isEdit(edit, model) {
  if (edit === null || typeof edit !== "object" || !isInteger(edit.level, 0, model.levels.length - 1)) return false;
  const { height, width, channels } = model.levels[edit.level];
  return isInteger(edit.unit, 0, height * width * channels - 1) && isNumber(edit.factor, -4, 4) &&
    isInteger(edit.rows, -height, height) && isInteger(edit.columns, -width, width) && typeof edit.on === "boolean";
}

const isNumber = (value, low, high) => typeof value === "number" && value >= low && value <= high;
const isInteger = (value, low, high) => Number.isInteger(value) && isNumber(value, low, high);

/**
 * What is on the table, as plain data; the picture is a function of it, here and by
 * `python -m hcm_tf.explain --session` (explain/session.py has the meaning of edits).
 *
 * @typedef {{seed: number, truncation: number}
 *   | {seed: number, other: number, share: number, truncation: number}
 *   | {latent: string}} Origin  Of a picture: a seed, a way between two, or a latent in
 *   24 bits an entry, little-endian, base64. Each may have `classes`, by the names of
 *   their labels, that are drawn whatever the seed or the latent says.
 * @typedef {{do: "change" | "insert" | "swap", level: number, unit: number, factor: number,
 *   rows: number, columns: number, on: boolean, donor: Origin}} Edit  factor: times its
 *   activation; moved by cells of its level. donor: of insert and swap only.
 * @typedef {{origin: Origin, anew: boolean, pins: Origin[], edits: Edit[]}} State
 */

import { chosen } from "./labels.js";

export const VERSION = 2;
export const MOST_PINS = 24;
const MOST_EDITS = 500;
const LAST_SEED = 2 ** 31 - 1;
const UNIT = 2 ** -23;

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

/** A seed within what the model numbers. */
export function seedOf(value) {
  return Math.min(Math.max(Math.trunc(Number(value)) || 0, -LAST_SEED - 1), LAST_SEED);
}

/** An origin of a latent; its entries are rounded to 24 bits. */
export function originOf(latent) {
  let text = "";
  for (const value of latent) {
    const rounded = Math.min(Math.max(Math.round(value / UNIT), -(2 ** 23)), 2 ** 23 - 1) & 0xffffff;
    text += String.fromCharCode(rounded & 255, (rounded >> 8) & 255, rounded >> 16);
  }
  return { latent: btoa(text) };
}

/** The latent of an origin. */
export function latentOf(origin, engine) {
  if (origin.latent !== undefined) return Promise.resolve(unpackLatent(origin.latent));
  const { seed, other, share, truncation } = origin;
  return share === undefined ? engine.latentOf(seed, truncation) : engine.towards(seed, other, share, truncation);
}

function unpackLatent(text) {
  const bytes = atob(text);
  return Float32Array.from({ length: bytes.length / 3 }, (_, entry) => {
    const [low, middle, high] = [0, 1, 2].map((place) => bytes.charCodeAt(3 * entry + place));
    return (((high << 24) | (middle << 16) | (low << 8)) >> 8) * UNIT;
  });
}

/** What to call an origin. */
export function titleOf({ latent, seed, other, share, classes }) {
  const as = classes ? ` (${Object.values(classes).join(", ")})` : "";
  if (latent !== undefined) return `own picture${as}`;
  return (share === undefined ? `picture ${seed}` : `between ${seed} and ${other}`) + as;
}

/** A state as JSON; only for the model of this hash. */
export function toText(state, hash) {
  return JSON.stringify({ version: VERSION, model: hash, ...state });
}

/**
 * A state from JSON.
 * @throws {Error} one sentence: damaged, of another version or model, or of a class that
 *   the model does not have.
 */
export function fromText(text, model) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("This link or file is damaged.");
  }
  if (!isObject(found)) throw new Error("This link or file is damaged.");
  if (found.version !== VERSION) throw new Error("This link or file was made by another version of the studio.");
  if (found.model !== model.hash) throw new Error("This link or file belongs to another model.");
  const { origin, anew, pins, edits } = found;
  const fits = isOrigin(origin, model) && typeof anew === "boolean" && isList(pins, MOST_PINS, (pin) => isOrigin(pin, model)) &&
    isList(edits, MOST_EDITS, (edit) => isEdit(edit, model));
  if (!fits) throw new Error("This link or file is damaged.");
  const plain = (one) => plainOrigin(one, model);
  return { origin: plain(origin), anew, pins: pins.map(plain), edits: edits.map((edit) => plainEdit(edit, model)) };
}

function isEdit(edit, model) {
  if (!isObject(edit) || !isInteger(edit.level, 0, model.levels.length - 1)) return false;
  const { height, width, channels } = model.levels[edit.level];
  const donated = edit.do === "insert" || edit.do === "swap";
  return (donated ? isOrigin(edit.donor, model) : edit.do === "change") && isInteger(edit.unit, 0, height * width * channels - 1) &&
    isNumber(edit.factor, -4, 4) && isInteger(edit.rows, -height, height) && isInteger(edit.columns, -width, width) && typeof edit.on === "boolean";
}

function isOrigin(origin, model) {
  if (!isObject(origin)) return false;
  if (origin.latent !== undefined) {
    return typeof origin.latent === "string" && origin.latent.length === 4 * model.latentSize &&
      /^[A-Za-z0-9+/]*$/.test(origin.latent);
  }
  const between = origin.share === undefined ? origin.other === undefined : isNumber(origin.share, 0, 1) && isSeed(origin.other);
  return isSeed(origin.seed) && isNumber(origin.truncation, 0, 1) && between;
}

function plainOrigin({ latent, seed, other, share, truncation, classes }, model) {
  const asked = chosen(classes, model);
  if (latent !== undefined) return { latent, ...asked };
  return share === undefined ? { seed, truncation, ...asked } : { seed, other, share, truncation, ...asked };
}

function plainEdit({ do: kind, level, unit, factor, rows, columns, on, donor }, model) {
  const edit = { do: kind, level, unit, factor, rows, columns, on };
  return kind === "change" ? edit : { ...edit, donor: plainOrigin(donor, model) };
}

const isObject = (value) => value !== null && typeof value === "object";
const isList = (value, most, test) => Array.isArray(value) && value.length <= most && value.every(test);
const isNumber = (value, low, high) => typeof value === "number" && value >= low && value <= high;
const isInteger = (value, low, high) => Number.isInteger(value) && isNumber(value, low, high);
const isSeed = (value) => isInteger(value, -LAST_SEED - 1, LAST_SEED);

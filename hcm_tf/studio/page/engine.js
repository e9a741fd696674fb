/**
 * The interface of the two engines: a server that runs TensorFlow, and this browser.
 *
 * Units are named by their flat index in a level's code:
 * row * width * channels + column * channels + basis.
 *
 * @typedef {{name: string, height: number, width: number, channels: number, k: number,
 *   placed: boolean, always: number, free: boolean, cell: number, reach: number}} Level
 *   placed: every location has basis functions of its own, which compete there; otherwise
 *   the positions of a map compete. always: so many of the first channels are the
 *   background's, and always kept. free: a part may be drawn elsewhere than in its cell.
 *   cell: pixels a side; reach: cells to each side.
 * @typedef {{hash: string, name: string, imageSize: number, channels: number,
 *   resize: string, latentSize: number, prior: string, levels: Level[],
 *   labels: {name: string, classes: string[], shares: number[]}[]}} Model  resize: how
 *   images became square, crop or stretch. latentSize: with the labels, which stand behind
 *   a latent, for every class a number; see labels.py.
 * @typedef {{index: Uint32Array, value: Float32Array}} Units
 * @typedef {{id: number, latent: ?Float32Array, codes: (?Units)[], logits: Float32Array}}
 *   Picture  logits: the image before tanh, size * size * channels. Gates of the last 32
 *   ids are kept; a verb on an older one throws an Error whose name is "Forgotten".
 * @typedef {{rank: number, lead: ?number, margin: ?number, gate: number, always: ?boolean,
 *   index: Uint32Array, response: Float32Array, kept: Uint32Array}} Choice  rank among the basis functions at
 *   the unit's place, and the strongest others there; margin: its response less the best
 *   that was not kept among those it competed with; null where nothing was rejected;
 *   gate: what the selection let through of its response; always: it is kept without
 *   competing, as attributes of a background are.
 *
 * @typedef {object} Engine
 * @property {Model} model
 * @property {(seed: number, truncation: number) => Promise<Float32Array>} latentOf
 * @property {(seed: number, other: number, share: number, truncation: number) =>
 *   Promise<Float32Array>} towards  On the way from a seed's latent to another's.
 * @property {(latent: Float32Array, classes?: Object<string, string>) => Promise<Picture>}
 *   trace  As the chosen classes, by their labels' names, whatever stands behind the latent.
 * @property {(id: number, level: number, codes: Units[]) => Promise<Float32Array[]>} replay
 *   Logits of each code, at most 16, through the recorded gates of picture `id`.
 * @property {(level: number, code: Units, id: number) => Promise<Picture>} redraw
 *   Decides anew above `level`; codes below it are null, and so is the latent. `id`: of
 *   the picture that the code was one of, which knows where its parts are.
 * @property {(id: number, weights: Float32Array) => Promise<Float32Array[]>} credit
 *   What each active unit of each level adds to the weighted sum of the logits.
 * @property {(id: number, level: number, unit: number) =>
 *   Promise<{children: Units, below: Units[]}>} edges
 *   Children: how much of each unit of level + 1 this one produces. Below: how much of
 *   this unit each one of every lower level produces.
 * @property {(id: number, level: number, unit: number, count: number) => Promise<Choice>}
 *   choice
 * @property {(pixels: Float32Array) => Promise<Float32Array>} encode  [-1, 1] to a latent.
 * @property {(latent: Float32Array, pixels: Float32Array) =>
 *   Promise<{error: number, gradient: Float32Array}>} slope
 *   Mean squared error of the latent's picture to pixels in [-1, 1], and its gradient;
 *   0 for labels.
 * @property {() => Promise<Object<string, string>>} readNames  By key, see names.js.
 * @property {(key: string, name: string) => Promise<Object<string, string>>} rename
 *   "" takes the name away; returns all names, those of other pages too.
 */

import { openInBrowser } from "./browser_engine.js";
import { openOnServer } from "./server_engine.js";

/**
 * Opens the engine that the page names in `<html data-engine>`.
 * @returns {Promise<Engine>}
 */
export function openEngine() {
  return document.documentElement.dataset.engine === "server" ? openOnServer() : openInBrowser();
}

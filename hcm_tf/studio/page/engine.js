/**
 * The interface of the two engines, and the choice between them.
 *
 * Units are named by their flat index in a level's code:
 * row * width * channels + column * channels + basis.
 *
 * @typedef {{name: string, height: number, width: number, channels: number, k: number,
 *   cell: number, reach: number}} Level  cell: pixels a side; reach: cells to each side.
 * @typedef {{hash: string, name: string, imageSize: number, channels: number,
 *   latentSize: number, prior: string, levels: Level[]}} Model
 * @typedef {{index: Uint32Array, value: Float32Array}} Units
 * @typedef {{id: number, latent: ?Float32Array, codes: (?Units)[], logits: Float32Array}}
 *   Picture  logits: the image before tanh, size * size * channels. Gates of the last 32
 *   ids are kept; a verb on an older one throws an Error whose name is "Forgotten".
 *
 * @typedef {object} Engine
 * @property {Model} model
 * @property {(seed: number, truncation: number) => Promise<Float32Array>} latentOf
 * @property {(latent: Float32Array) => Promise<Picture>} trace
 * @property {(id: number, level: number, codes: Units[]) => Promise<Float32Array[]>} replay
 *   Logits of each code through the recorded gates of picture `id`.
 * @property {(level: number, code: Units) => Promise<Picture>} redraw
 *   Decides anew above `level`; codes below it are null, and so is the latent.
 * @property {(id: number, weights: Float32Array) => Promise<Float32Array[]>} credit
 *   What each active unit of each level adds to the weighted sum of the logits.
 * @property {(id: number, level: number, unit: number) =>
 *   Promise<{children: Units, parents: Units}>} edges
 *   Children: how much of each unit of level + 1 this one produces. Parents: how much
 *   of this unit each one of level - 1 produces.
 * @property {(id: number, level: number, unit: number, count: number) => Promise<Units>}
 *   rivals  The strongest other basis functions at the unit's place.
 * @property {(pixels: Float32Array) => Promise<Float32Array>} encode  [-1, 1] to a latent.
 * @property {() => Promise<void>} dispose
 */

/**
 * Opens the engine that the page names in `<html data-engine>`.
 * @returns {Promise<Engine>}
 */
export async function openEngine() {
  const home = document.documentElement.dataset.engine;
  const module = await import(home === "server" ? "./server_engine.js" : "./browser_engine.js");
  return module.open();
}

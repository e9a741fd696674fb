/** The engine that asks the server; see engine.js, and api.py for the verbs. */

import { pack, unpack } from "./wire.js";

/** @returns {Promise<import("./engine.js").Engine>} */
export async function openOnServer() {
  const model = (await ask("model")).values;
  const units = (arrays, prefix) => ({ index: arrays[`${prefix}index`], value: arrays[`${prefix}value`] });
  const picture = ({ values, arrays }) => ({
    id: values.id,
    latent: arrays.latent.length ? arrays.latent : null,
    codes: model.levels.map((_, level) => (level < values.lowest ? null : units(arrays, level))),
    logits: arrays.logits,
  });
  return {
    model,
    latentOf: async (seed, truncation) => (await ask("latent", { seed, other: seed, share: 0, truncation })).arrays.latent,
    towards: async (seed, other, share, truncation) => (await ask("latent", { seed, other, share, truncation })).arrays.latent,
    trace: async (latent, classes) => picture(await ask("trace", { classes }, { latent })),
    redraw: async (level, code, id) => picture(await ask("redraw", { level, id }, code)),
    replay: async (id, level, codes) => {
      const arrays = {};
      codes.forEach((code, number) => {
        arrays[`index${number}`] = code.index;
        arrays[`value${number}`] = code.value;
      });
      const found = await ask("replay", { id, level, codes: codes.length }, arrays);
      return codes.map((_, number) => found.arrays[`logits${number}`]);
    },
    credit: async (id, weights) => {
      const { arrays } = await ask("credit", { id }, { weights });
      return model.levels.map((_, level) => arrays[`credit${level}`]);
    },
    edges: async (id, level, unit) => {
      const { arrays } = await ask("edges", { id, level, unit });
      const below = Array.from({ length: level }, (_, lower) => units(arrays, `below${lower}`));
      return { children: units(arrays, "children"), below };
    },
    choice: async (id, level, unit, count) => {
      const { values, arrays } = await ask("choice", { id, level, unit, count });
      return { ...values, ...arrays };
    },
    encode: async (pixels) => (await ask("encode", {}, { pixels })).arrays.latent,
    slope: async (latent, pixels) => {
      const { values, arrays } = await ask("slope", {}, { latent, pixels });
      return { ...values, ...arrays };
    },
    readNames: async () => (await ask("names")).values.names,
    rename: async (key, name) => (await ask("rename", { key, name })).values.names,
  };
}

async function ask(verb, values = {}, arrays = {}) {
  const response = await fetch(`/api/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", "X-Studio-Token": sessionStorage.getItem("token") ?? "" },
    body: pack(values, arrays),
  }).catch(() => { throw new Error("The studio's server does not answer any more."); });
  if (!response.ok) {
    const error = new Error(await response.text());
    if (response.status === 410) error.name = "Forgotten";
    throw error;
  }
  return unpack(await response.arrayBuffer());
}

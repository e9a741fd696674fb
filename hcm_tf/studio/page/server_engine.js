/** The engine that asks the server; see engine.js, and wire.py for the messages. */

const ARRAYS = { float32: Float32Array, uint32: Uint32Array };

/** @returns {Promise<import("./engine.js").Engine>} */
export async function open() {
  const model = (await ask("model", {})).values;
  const units = (arrays, prefix) => ({ index: arrays[`${prefix}index`], value: arrays[`${prefix}value`] });
  const picture = ({ values, arrays }) => ({
    id: values.id,
    latent: arrays.latent.length ? arrays.latent : null,
    codes: model.levels.map((_, level) => (level < values.lowest ? null : units(arrays, level))),
    logits: arrays.logits,
  });
  return {
    model,
    latentOf: async (seed, truncation) => (await ask("latent", { seed, truncation })).arrays.latent,
    trace: async (latent) => picture(await ask("trace", {}, { latent })),
    redraw: async (level, code) => picture(await ask("redraw", { level }, code)),
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
      return { children: units(arrays, "children"), parents: units(arrays, "parents") };
    },
    rivals: async (id, level, unit, count) => units((await ask("rivals", { id, level, unit, count })).arrays, ""),
    encode: async (pixels) => (await ask("encode", {}, { pixels })).arrays.latent,
    dispose: async () => {},
  };
}

async function ask(verb, values, arrays = {}) {
  const response = await fetch(`/api/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", "X-Studio-Token": sessionStorage.getItem("token") ?? "" },
    body: pack(values, arrays),
  });
  if (!response.ok) {
    const error = new Error(await response.text());
    if (response.status === 410) error.name = "Forgotten";
    throw error;
  }
  return unpack(await response.arrayBuffer());
}

function pack(values, arrays) {
  const listed = Object.entries(arrays).map(([name, array]) => [name, array instanceof Uint32Array ? "uint32" : "float32", array.length]);
  let header = new TextEncoder().encode(JSON.stringify({ ...values, arrays: listed }));
  const padded = new Uint8Array(Math.ceil(header.length / 4) * 4).fill(32);
  padded.set(header);
  header = padded;
  return new Blob([new Uint32Array([header.length]), header, ...Object.values(arrays)]);
}

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { arrays: listed, ...values } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  let start = 4 + length;
  for (const [name, kind, size] of listed) {
    arrays[name] = new ARRAYS[kind](buffer, start, size);
    start += 4 * size;
  }
  return { values, arrays };
}

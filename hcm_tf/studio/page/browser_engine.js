/** The engine in this browser: a worker that draws with plain arithmetic. */

const VERBS = ["latentOf", "towards", "trace", "redraw", "replay", "credit", "edges", "choice", "encode", "slope"];

/** @returns {Promise<import("./engine.js").Engine>} */
export async function openInBrowser() {
  const worker = startWorker();
  const waiting = new Map();
  let calls = 0;
  worker.onmessage = ({ data: { call, result, error } }) => {
    const { resolve, reject } = waiting.get(call);
    waiting.delete(call);
    if (error) reject(Object.assign(new Error(error.message), { name: error.name }));
    else resolve(result);
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || "The engine could not start."));
    waiting.clear();
  };
  const ask = (verb, ...args) =>
    new Promise((resolve, reject) => {
      calls += 1;
      waiting.set(calls, { resolve, reject });
      worker.postMessage({ call: calls, verb, args });
    });
  const model = await ask("open", await modelFile());
  const stored = `names of ${model.hash}`;
  const readNames = async () => JSON.parse(localStorage.getItem(stored) ?? "{}");
  return {
    model,
    readNames,
    rename: async (key, name) => {
      const { [key]: _, ...others } = await readNames(); // Another page may have named more.
      const names = name ? { ...others, [key]: name } : others;
      localStorage.setItem(stored, JSON.stringify(names));
      return names;
    },
    ...Object.fromEntries(VERBS.map((verb) => [verb, (...args) => ask(verb, ...args)])),
  };
}

/** A page in one file carries worker and model in itself. */
function startWorker() {
  const inside = document.getElementById("worker-source");
  if (!inside) return new Worker(new URL("worker.js", document.baseURI), { type: "module" });
  return new Worker(URL.createObjectURL(new Blob([inside.textContent], { type: "text/javascript" })));
}

async function modelFile() {
  const inside = document.getElementById("model-file");
  if (!inside) {
    const response = await fetch("model.bin");
    if (!response.ok) throw new Error("The file model.bin is not beside this page.");
    return response.arrayBuffer();
  }
  const text = atob(inside.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes.buffer;
}

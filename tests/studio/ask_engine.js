async ([verb, args]) => {
  const plain = (value) => {
    if (ArrayBuffer.isView(value)) return { type: value.constructor.name, list: [...value] };
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
  };
  const typed = (value) => {
    if (Array.isArray(value)) return value.map(typed);
    if (value === null || typeof value !== "object") return value;
    if (value.float32) return Float32Array.from(value.float32);
    if (value.uint32) return Uint32Array.from(value.uint32);
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, typed(one)]));
  };
  if (!window.tested) window.tested = await (await import(new URL("browser_engine.js", document.baseURI))).openInBrowser();
  return plain(await window.tested[verb](...args.map(typed)));
}

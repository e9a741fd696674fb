/** The page: draws, asks what made a spot, and changes it. */

import { Composer } from "./compose.js";
import { outline, paint, paintPart } from "./drawing.js";
import { openEngine } from "./engine.js";
import { History, fromLink, toLink } from "./state.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const start = { seed: 0, truncation: 1, anew: false, edits: [] };
let engine, model, composer, history, region, ranked, level = 0, chosen = null, shown = null, turn = 0, queue = Promise.resolve();

const say = (text) => { $("status").textContent = text; };
/** Runs after what runs already; a failure becomes one sentence. */
const doing = (action) => (queue = queue.then(action).catch((error) => say(error.message)));

async function begin() {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.has("token")) sessionStorage.setItem("token", hash.get("token"));
  engine = await openEngine();
  model = engine.model;
  document.title = `Studio: ${model.name}`;
  model.levels.forEach(({ name }, number) => {
    const text = number === 0 ? "Objects" : ["Parts", "Subparts", "Finest"][number - 1] ?? name;
    const button = element("button", text);
    button.onclick = () => { level = number; doing(list); };
    $("levels").append(button);
  });
  let state = start, trouble = "";
  try {
    if (hash.has("state")) state = fromLink(hash.get("state"), model);
  } catch (error) {
    trouble = error.message;
  }
  location.replace("#");
  history = new History(state);
  await show(true);
  if (trouble) say(trouble);
}

/** Paints the state; `all` also asks anew what made the picture. */
async function show(all) {
  const { state } = history;
  const mine = (turn += 1);
  if (!composer || composer.seed !== state.seed || composer.truncation !== state.truncation) {
    const picture = await engine.trace(await engine.latentOf(state.seed, state.truncation));
    composer = Object.assign(new Composer(engine, picture), { seed: state.seed, truncation: state.truncation });
    all = true;
  }
  const { logits, rechosen } = await composer.draw(state);
  if (mine !== turn) return;
  shown = logits;
  repaint();
  $("seed").value = state.seed;
  $("truncation").value = state.truncation;
  $("anew").checked = state.anew;
  $("undo").disabled = history.place === 0;
  $("redo").disabled = history.place === history.states.length - 1;
  await showEdits();
  if (all) {
    choose(null);
    await credit({ top: 0, left: 0, bottom: model.imageSize, right: model.imageSize });
  }
  say(rechosen === null ? "Only what you changed is different." : `The finer sizes chose ${rechosen} parts differently.`);
  if (!state.edits.some((edit) => edit.on)) say("The picture as the model drew it.");
}

function repaint() {
  const original = $("compare").getAttribute("aria-pressed") === "true";
  paint($("picture"), original ? composer.picture.logits : shown, model);
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  if (region && region.bottom - region.top < model.imageSize) outline($("picture"), region, model, colour);
}

/** Ranks all units by what they add to a region of the original picture. */
async function credit(box) {
  region = box;
  repaint();
  const { logits } = composer.picture;
  const weights = new Float32Array(logits.length);
  let energy = 0;
  for (let row = box.top; row < box.bottom; row += 1) {
    const from = (row * model.imageSize + box.left) * model.channels;
    const to = (row * model.imageSize + box.right) * model.channels;
    for (let place = from; place < to; place += 1) energy += (weights[place] = logits[place]) ** 2;
  }
  const found = await composer.withGates((id) => engine.credit(id, weights));
  ranked = found.map((shares, number) => {
    const { index } = composer.picture.codes[number];
    return [...shares].map((share, place) => ({ unit: index[place], share: share / (energy || 1) })).sort((a, b) => b.share - a.share);
  });
  await list();
}

async function list() {
  [...$("levels").children].forEach((button, number) => button.setAttribute("aria-pressed", number === level));
  const top = ranked[level].slice(0, Number($("count").value));
  const sum = ranked[level].reduce((total, { share }) => total + share, 0);
  $("residual").textContent = `All ${ranked[level].length} parts of this size add up to ${sum.toFixed(6)} of what is marked.`;
  const whole = region.bottom - region.top === model.imageSize;
  const share = top.reduce((total, one) => total + one.share, 0);
  $("covers").textContent = `${percent(share)} of ${whole ? "the picture" : "the marked spot"} with ${top.length} parts`;
  $("units").replaceChildren(...(await Promise.all(top.map((one) => card(level, one.unit, percent(one.share))))));
}

/** A unit as its picture; pointing at it lights its place. */
async function card(at, unit, text) {
  const item = document.createElement("li");
  const button = element("button", "");
  button.className = "unit";
  const canvas = document.createElement("canvas");
  paintPart(canvas, await composer.part(at, unit), model);
  button.append(canvas, element("span", text));
  button.setAttribute("aria-pressed", chosen?.level === at && chosen?.unit === unit);
  button.setAttribute("aria-label", `Part that makes ${text}`);
  button.onclick = () => doing(() => choose({ level: at, unit }));
  button.onmouseenter = button.onfocus = () => { repaint(); light(at, unit); };
  button.onmouseleave = button.onblur = repaint;
  item.append(button);
  return item;
}

function light(at, unit) {
  const { width, channels, cell } = model.levels[at];
  const row = Math.floor(unit / (width * channels)), column = Math.floor(unit / channels) % width;
  const box = { top: row * cell, left: column * cell, bottom: (row + 1) * cell, right: (column + 1) * cell };
  outline($("picture"), box, model, getComputedStyle(document.documentElement).getPropertyValue("--accent"));
}

async function choose(unit) {
  chosen = unit;
  $("chosen").hidden = unit === null;
  if (unit === null) return;
  paintPart($("part"), await composer.part(unit.level, unit.unit), model);
  const share = ranked[unit.level].find((one) => one.unit === unit.unit)?.share ?? 0;
  $("about").textContent = `What it draws, by itself. It makes ${percent(share)} of what is marked.`;
  const { children, parents } = await composer.withGates((id) => engine.edges(id, unit.level, unit.unit));
  const rivals = await composer.withGates((id) => engine.rivals(id, unit.level, unit.unit, 3));
  await family($("children"), unit.level + 1, children);
  await family($("parents"), unit.level - 1, parents);
  const own = composer.value(unit.level, unit.unit);
  $("rivals").textContent = `It answered with ${own.toFixed(2)}; the strongest others at its place with ${[...rivals.value].map((value) => value.toFixed(2)).join(", ")}.`;
  await list();
}

async function family(list, at, { index, value }) {
  const order = [...index.keys()].sort((a, b) => Math.abs(value[b]) - Math.abs(value[a])).slice(0, 6);
  const cards = await Promise.all(order.map((place) => card(at, index[place], value[place].toFixed(2))));
  list.replaceChildren(...(cards.length ? cards : [element("li", at < 0 ? "Nothing is below: it comes from the latent." : "It goes straight into the picture.")]));
}

function change(values, all = false) {
  doing(() => { history.change({ ...history.state, ...values }); return show(all); });
}

/** Adds an edit of the chosen part, or changes the one it has. */
function edit(values) {
  if (!chosen) return;
  const { edits } = history.state;
  const same = (one) => one.level === chosen.level && one.unit === chosen.unit;
  const old = edits.find(same) ?? { ...chosen, factor: 1, rows: 0, columns: 0, on: true };
  const { height, width } = model.levels[chosen.level];
  const { factor = old.factor, rows = 0, columns = 0 } = values;
  const limit = (value, most) => Math.min(Math.max(value, -most), most);
  const made = { ...old, on: true, factor, rows: limit(old.rows + rows, height), columns: limit(old.columns + columns, width) };
  change({ edits: edits.some(same) ? edits.map((one) => (same(one) ? made : one)) : [...edits, made] });
}

async function showEdits() {
  const { edits } = history.state;
  const items = edits.map(async (one, place) => {
    const item = document.createElement("li");
    const canvas = document.createElement("canvas");
    paintPart(canvas, await composer.part(one.level, one.unit), model);
    const replace = (values) => change({ edits: edits.map((other, at) => (at === place ? { ...one, ...values } : other)) });
    const on = Object.assign(document.createElement("input"), { type: "checkbox", checked: one.on, ariaLabel: `Change ${place + 1} counts` });
    on.onchange = () => replace({ on: on.checked });
    const strength = Object.assign(document.createElement("input"), { type: "range", min: -1, max: 3, step: 0.25, value: one.factor, ariaLabel: `Strength of change ${place + 1}` });
    strength.onchange = () => replace({ factor: Number(strength.value) });
    const moved = one.rows || one.columns ? ", moved" : "";
    item.append(on, canvas, strength, element("span", (one.factor === 0 ? "removed" : `times ${one.factor}`) + moved));
    return item;
  });
  $("edits").replaceChildren(...(await Promise.all(items)));
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

/** Reads seed, within what the model numbers. */
function seedOf(value) {
  return Math.min(Math.max(Math.trunc(Number(value)) || 0, -(2 ** 31)), 2 ** 31 - 1);
}

function listen() {
  const draw = (seed) => change({ seed: seedOf(seed), edits: [] }, true);
  $("seed").onchange = () => draw($("seed").value);
  $("before").onclick = () => draw(history.state.seed - 1);
  $("after").onclick = () => draw(history.state.seed + 1);
  $("truncation").onchange = () => change({ truncation: Number($("truncation").value), edits: [] }, true);
  $("anew").onchange = () => change({ anew: $("anew").checked });
  $("undo").onclick = () => doing(() => { history.step(-1); return show(false); });
  $("redo").onclick = () => doing(() => { history.step(1); return show(false); });
  $("count").oninput = () => doing(list);
  $("compare").onclick = () => { $("compare").setAttribute("aria-pressed", $("compare").getAttribute("aria-pressed") !== "true"); repaint(); };
  $("link").onclick = () => doing(copyLink);
  $("save").onclick = () => doing(savePicture);
  document.querySelectorAll("[data-do]").forEach((button) => { button.onclick = () => edit({ factor: Number(button.dataset.do) }); });
  document.querySelectorAll("[data-move]").forEach((button) => {
    const [rows, columns] = button.dataset.move.split(",").map(Number);
    button.onclick = () => edit({ rows, columns });
  });
  point($("picture"));
}

/** A click or rectangle by pointer, or by arrow keys and Enter. */
function point(canvas) {
  const pixel = (event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (value) => Math.min(Math.max(Math.floor(value * model.imageSize), 0), model.imageSize - 1);
    return { row: inside((event.clientY - box.top) / box.height), column: inside((event.clientX - box.left) / box.width) };
  };
  let from = null, spot = { row: 0, column: 0 };
  const ask = (a, b) => {
    const around = a.row === b.row && a.column === b.column ? 2 : 0;
    const box = { top: Math.min(a.row, b.row) - around, left: Math.min(a.column, b.column) - around, bottom: Math.max(a.row, b.row) + 1 + around, right: Math.max(a.column, b.column) + 1 + around };
    return { top: Math.max(box.top, 0), left: Math.max(box.left, 0), bottom: Math.min(box.bottom, model.imageSize), right: Math.min(box.right, model.imageSize) };
  };
  canvas.onpointerdown = (event) => { from = pixel(event); canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = (event) => {
    if (!from) return;
    const box = ask(from, pixel(event));
    from = null;
    doing(() => credit(box));
  };
  canvas.onkeydown = (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    const inside = (value) => Math.min(Math.max(value, 0), model.imageSize - 1);
    spot = { row: inside(spot.row + 2 * by[0]), column: inside(spot.column + 2 * by[1]) };
    region = ask(spot, spot);
    repaint();
    if (event.key === "Enter") doing(() => credit(region));
  };
}

async function copyLink() {
  const link = `${location.href.split("#")[0]}#state=${toLink(history.state, model.hash)}`;
  window.history.replaceState(null, "", link);
  await navigator.clipboard.writeText(link).catch(() => {});
  say("The link is in the address bar.");
}

async function savePicture() {
  const small = Object.assign(document.createElement("canvas"), { id: "saved" });
  paint(small, shown, model);
  const address = small.toDataURL("image/png");
  Object.assign(document.createElement("a"), { href: address, download: `${model.name}-${history.state.seed}.png` }).click();
}

listen();
doing(begin);

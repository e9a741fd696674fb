"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = { subject: 0, path: [], focus: 0, topLevel: 0, step: null };
const subject = () => data.images[state.subject];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function percent(x) {
  const digits = Math.abs(x) >= 0.0995 || x === 0 ? 0 : Math.abs(x) >= 0.00095 ? 1 : 2;
  return `${(100 * x).toFixed(digits)} %`.replace("-", "−");
}
const short = (x) => (x === null ? "none" : Number(x).toPrecision(3).replace("-", "−"));
const tiny = (x) => (x === 0 ? "0" : x.toExponential(1).replace("-", "−"));
const whole = (x) => x.toLocaleString("en");
const plural = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;

// Numbers that travel as bytes.
function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
function patchOf(node) {
  if (!node.decoded) node.decoded = new Int8Array(bytes(node.picture.values).buffer);
  return node.decoded;
}
function logitsOf(one) {
  if (!one.decoded) {
    const view = new DataView(bytes(one.logits.values).buffer);
    one.decoded = Float32Array.from({ length: view.byteLength / 2 },
      (_, index) => view.getInt16(2 * index, true) * one.logits.scale);
  }
  return one.decoded;
}

// A canvas of width x height pixels; colour(row, column, channel) gives 0..255.
function paint(width, height, colour, label) {
  const canvas = make("canvas", { width, height, role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < 3; channel++) {
        pixels.data[4 * (row * width + column) + channel] = colour(row, column, channel);
      }
      pixels.data[4 * (row * width + column) + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// The contribution of a node at a pixel of the image, before tanh.
function contribution(node) {
  const patch = patchOf(node);
  const [top, left, height, width] = node.picture.box;
  return (row, column, channel) => {
    const r = row - top, c = column - left;
    if (r < 0 || c < 0 || r >= height || c >= width) return 0;
    return patch[(r * width + c) * data.channels + channel % data.channels] * node.picture.scale;
  };
}
const shade = (logit) => 127.5 + 127.5 * Math.tanh(logit);

// The unit's own picture, square around what it reaches, for thumbnails.
function thumbnail(node) {
  const patch = patchOf(node), channels = data.channels;
  const [top, left, height, width] = node.picture.box;
  const low = [height, width], high = [0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let largest = 0;
      for (let k = 0; k < channels; k++) largest = Math.max(largest, Math.abs(patch[(row * width + column) * channels + k]));
      if (largest > 8) {
        low[0] = Math.min(low[0], row); high[0] = Math.max(high[0], row + 1);
        low[1] = Math.min(low[1], column); high[1] = Math.max(high[1], column + 1);
      }
    }
  }
  const side = Math.max(high[0] - low[0], high[1] - low[1], 1);
  const start = [0, 1].map((axis) => [top, left][axis] + low[axis] - Math.floor((side - (high[axis] - low[axis])) / 2));
  const value = contribution(node), peak = 127 * node.picture.scale;
  return paint(side, side, (row, column, channel) =>
    127.5 + 127.5 * value(row + start[0], column + start[1], channel) / peak, "Picture of the unit");
}
function spotlight(node) {
  const value = contribution(node), logits = logitsOf(subject()), peak = 127 * node.picture.scale;
  const channels = data.channels, size = data.size;
  return paint(size, size, (row, column, channel) => {
    const base = (row * size + column) * channels;
    let grey = 0, strength = 0;
    for (let k = 0; k < channels; k++) {
      grey += shade(logits[base + k]) / channels;
      strength = Math.max(strength, Math.abs(value(row, column, k)) / peak);
    }
    const light = Math.min(1, 2 * Math.sqrt(strength) * (strength > 0.02 ? 1 : 0));
    const dim = 0.35 * grey + 0.65 * 128;
    return light * shade(logits[base + channel % channels]) + (1 - light) * dim;
  }, "Where the unit acts in the image");
}
function without(node) {
  const value = contribution(node), logits = logitsOf(subject());
  const channels = data.channels, size = data.size;
  return paint(size, size, (row, column, channel) =>
    shade(logits[(row * size + column) * channels + channel % channels] - value(row, column, channel)),
  "The image without the unit");
}

// The tree: state.path holds a node of each level, state.focus which of them is chosen;
// 0 is the image itself.
const childrenOf = (id) => id === "image"
  ? subject().roots.map((root) => ({ id: root, flow: subject().nodes[root].share }))
  : subject().nodes[id].children;
function extend(path) {
  for (let children; path.length <= data.levels.length && (children = childrenOf(path.at(-1))).length;) path.push(children[0].id);
  return path;
}
function choose(depth, id, focus = true) {
  state.path = extend([...state.path.slice(0, depth), id]);
  state.focus = depth;
  drawTree();
  if (focus) byId("tree").querySelector("[aria-selected=true]").focus();
}
function jump(id) {
  // To any node: through the strongest of the listed ways that lead to it.
  const ways = (target) => {
    if (subject().roots.includes(target)) return ["image", target];
    for (const node of Object.values(subject().nodes)) {
      if (node.children.some((edge) => edge.id === target)) {
        const way = ways(node.id);
        if (way) return [...way, target];
      }
    }
    return null;
  };
  const path = ways(id);
  if (!path) return;
  state.focus = path.length - 1;
  state.path = extend(path);
  drawTree();
  byId("tree").querySelector("[aria-selected=true]").focus();
}

function drawTree() {
  const tree = byId("tree");
  tree.querySelectorAll(".column").forEach((column) => column.remove());
  for (let depth = 0; depth <= data.levels.length; depth++) {
    const listed = depth === 0 ? [{ id: "image", flow: 1 }] : depth <= state.path.length ? childrenOf(state.path[depth - 1]) : [];
    const body = make("div", { class: "column-body", role: "group" });
    for (const edge of listed) {
      const selected = depth === state.focus && edge.id === state.path[depth];
      const image = edge.id === "image";
      const node = image ? null : subject().nodes[edge.id];
      body.append(make("button", {
        class: edge.id === state.path[depth] ? "node path" : "node", role: "treeitem", type: "button",
        "aria-selected": selected, "aria-level": depth + 1, tabindex: selected ? 0 : -1, "data-id": edge.id, "data-depth": depth,
        "aria-label": image ? "The whole image" : `${called(edge)}, carries ${percent(edge.flow)} of the image`,
        onclick: () => choose(depth, edge.id),
      }, image ? make("img", { src: subject().pictures.image, alt: "" }) : thumbnail(node), percent(edge.flow)));
    }
    const title = depth === 0 ? "image" : data.levels[depth - 1];
    const count = depth === 0 ? "" : `${listed.length} of ${whole(subject().levels[depth - 1].active)}`;
    tree.append(make("div", { class: "column" }, make("p", { class: "column-title" }, make("b", {}, title), count), body));
  }
  drawLinks();
  drawDetail();
}

function drawLinks() {
  const tree = byId("tree"), links = byId("links"), frame = tree.getBoundingClientRect();
  links.replaceChildren();
  for (let depth = 0; depth < state.path.length; depth++) {
    const from = tree.querySelector(`[data-depth="${depth}"][data-id="${state.path[depth]}"] :is(canvas, img)`);
    if (!from) continue;
    for (const edge of childrenOf(state.path[depth])) {
      const to = tree.querySelector(`[data-depth="${depth + 1}"][data-id="${edge.id}"] :is(canvas, img)`);
      if (!to) continue;
      const a = from.getBoundingClientRect(), b = to.getBoundingClientRect();
      const x0 = a.right - frame.left + 2, x1 = b.left - frame.left - 2;
      const y0 = (a.top + a.bottom) / 2 - frame.top, y1 = (b.top + b.bottom) / 2 - frame.top;
      const bend = (x1 - x0) / 2;
      links.append(makeSvg("path", {
        d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`,
        "stroke-width": Math.max(1, Math.min(9, 14 * Math.sqrt(Math.max(edge.flow, 0)))).toFixed(1),
        class: edge.id === state.path[depth + 1] && depth < state.focus ? "on" : "",
      }));
    }
  }
}

function bar(label, value, most, text, attributes = {}) {
  const fill = make("i");
  fill.style.width = `${Math.max(0, Math.min(100, 100 * value / most)).toFixed(1)}%`;
  const parts = [make("span", { class: "label" }, label), make("span", { class: "bar" }, fill), make("span", { class: "number" }, text)];
  if (!attributes.target) return make("li", { class: attributes.class }, ...parts);
  return make("li", {}, make("button", { type: "button", "data-jump": attributes.target, onclick: () => jump(attributes.target) }, ...parts));
}
// What the unit at the end of an edge is called; it may be no node of the tree.
function called(edge) {
  const { name, unit } = subject().nodes[edge.id] ?? edge;
  return name ? `${name}, ${unit}` : unit;
}
const fact = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
const view = (canvas, caption) => make("figure", {}, canvas, make("figcaption", {}, caption));

function drawDetail() {
  const id = state.path[state.focus], detail = byId("detail");
  if (id === "image") {
    const listed = childrenOf("image"), sum = listed.reduce((total, edge) => total + edge.flow, 0);
    const most = Math.max(...listed.map((edge) => edge.flow));
    detail.replaceChildren(
      make("p", { class: "name" }, "The whole image"),
      make("p", { class: "where" }, `${plural(subject().levels[0].active, "attribute")} compose it; the strongest ${listed.length} carry ${percent(sum)}.`),
      make("h3", {}, "Composed of (AND)"),
      make("ul", { class: "bars" }, ...listed.map((edge) => bar(called(edge), edge.flow, most, percent(edge.flow), { target: edge.id })),
        bar("all others", 1 - sum, most, percent(1 - sum), { class: "rest" })));
    return;
  }
  const node = subject().nodes[id], name = data.levels[node.level];
  const parts = [
    make("p", { class: "name" }, node.name ? `${node.name}, ${node.unit}` : node.unit),
    make("p", { class: "where" }, `${node.level ? "Feature map" : "Attribute"} ${node.basis} at row ${node.row}, column ${node.column} of level ${name}`),
    make("div", { class: "views" }, view(thumbnail(node), "Its picture"), view(spotlight(node), "In the image"), view(without(node), "Image without it")),
    make("dl", { class: "facts" }, fact("of the image's energy", percent(node.share)), fact("activation", short(node.value)),
      ...(node.always ? [fact("selection", "always kept")]
        : [fact("lead over the runner-up", short(node.lead)), fact("margin of its selection", short(node.margin))]),
      ...(node.gate === undefined ? [] : [fact("gate of its selection", node.gate.toFixed(3))])),
  ];
  if (node.children.length) {
    const flows = node.children.map((edge) => edge.flow);
    const most = Math.max(...flows, node.other_children_flow);
    parts.push(make("h3", {}, "It is composed of (AND)"), make("ul", { class: "bars" },
      ...node.children.map((edge) => bar(called(edge), edge.flow, most, percent(edge.flow), { target: edge.id })),
      bar("all others", node.other_children_flow, most, percent(node.other_children_flow), { class: "rest" })));
  }
  if (node.parents.length) {
    const most = Math.max(...node.parents.map((edge) => Math.abs(edge.weight)), Math.abs(node.other_parents_weight));
    parts.push(make("h3", {}, "It serves"), make("ul", { class: "bars" },
      ...node.parents.map((edge) => bar(called(edge), Math.abs(edge.weight), most, short(edge.weight), { target: subject().nodes[edge.id] ? edge.id : null })),
      bar("all others", Math.abs(node.other_parents_weight), most, short(node.other_parents_weight), { class: "rest" })));
  }
  if (node.always) {
    parts.push(make("h3", {}, "Rivals at this place (OR): none"), make("p", {}, "It belongs to the background, and does not compete."));
    detail.replaceChildren(...parts);
    return;
  }
  // Rivals have responses, of which a gate may have let a share or a multiple through.
  const own = node.value / (node.gate ?? 1), strongest = Math.max(own, ...node.rivals.map((rival) => rival.response), 1e-12);
  const rivals = [{ basis: node.basis, name: node.name, response: own, own: true, kept: true }, ...node.rivals].sort((a, b) => b.response - a.response);
  parts.push(make("h3", {}, `Rivals at this place (OR): rank ${node.rank}`), make("ul", { class: "bars", id: "rivals" },
    ...rivals.map((rival) => bar(`${rival.name ? `${rival.name}, ` : ""}basis ${rival.basis}${rival.own ? ", this" : rival.kept ? ", active" : ", not kept"}`,
      rival.response, strongest, short(rival.response), { class: rival.own ? "own" : "rest" }))));
  detail.replaceChildren(...parts);
}

byId("tree").addEventListener("keydown", (event) => {
  const siblings = state.focus === 0 ? ["image"] : childrenOf(state.path[state.focus - 1]).map((edge) => edge.id);
  const place = siblings.indexOf(state.path[state.focus]);
  const moves = {
    ArrowUp: () => place > 0 && choose(state.focus, siblings[place - 1]),
    ArrowDown: () => place + 1 < siblings.length && choose(state.focus, siblings[place + 1]),
    ArrowLeft: () => state.focus > 0 && choose(state.focus - 1, state.path[state.focus - 1]),
    ArrowRight: () => state.focus + 1 < state.path.length && choose(state.focus + 1, state.path[state.focus + 1]),
    Home: () => choose(state.focus, siblings[0]),
    End: () => choose(state.focus, siblings.at(-1)),
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
});

// Reconstruction from the top m units.
function drawTop() {
  const top = subject().top_m[state.topLevel], slider = byId("m");
  slider.max = top.counts.length - 1;
  if (state.step === null) state.step = Math.round(0.6 * (top.counts.length - 1));
  state.step = Math.min(state.step, top.counts.length - 1);
  slider.value = state.step;
  const count = top.counts[state.step], total = top.counts.at(-1);
  const text = `${whole(count)} of ${plural(total, "unit")}`;
  slider.setAttribute("aria-valuetext", text);
  byId("frame").src = top.frames[state.step];
  byId("frame-caption").textContent = text;
  byId("readout").textContent = `${text}: ${percent(top.explained[state.step])} of the energy explained, error ${short(top.error[state.step])}`;
  const curve = byId("curve"), low = Math.min(0, ...top.explained), high = Math.max(1, ...top.explained);
  const x = (index) => 34 + 280 * index / Math.max(1, top.counts.length - 1);
  const y = (value) => 98 - 88 * (value - low) / (high - low);
  curve.replaceChildren(
    ...[0, 1].flatMap((value) => [makeSvg("line", { x1: 34, x2: 314, y1: y(value), y2: y(value) }),
      makeSvg("text", { x: 28, y: y(value) + 3, "text-anchor": "end" }, `${100 * value} %`)]),
    makeSvg("polyline", { points: top.explained.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }),
    makeSvg("circle", { cx: x(state.step), cy: y(top.explained[state.step]), r: 4 }),
    makeSvg("text", { x: 34, y: 114 }, "0 units"), makeSvg("text", { x: 314, y: 114, "text-anchor": "end" }, `${whole(total)} (log scale)`));
}

// The class as an OR node: the same latent as other classes, and what this one prefers.
function drawClasses() {
  const known = subject().classes;
  byId("class").hidden = !known.length;
  byId("labels").replaceChildren(...known.flatMap((label) => {
    const left = label.count - label.classes.length;
    const own = label.classes.find((one) => one.own);
    return [
      make("h3", {}, `${label.name}: ${own.name}${left ? `; ${whole(left)} that change more are not shown` : ""}`),
      make("div", { class: "strip" }, ...label.classes.map((one) => make("figure", one.own ? { class: "own" } : {},
        make("img", { src: one.picture, alt: `${label.name} ${one.name}` }),
        make("figcaption", {}, make("strong", {}, one.name), one.own ? "the picture" : `keeps ${percent(one.kept)}`)))),
      make("p", { class: "hint" }, `Attributes of this picture that ${own.name} prefers most, as row,column:number`),
      make("div", { class: "strip small" }, ...label.prefers.map((one) => make("figure", {},
        make("img", { src: one.picture, alt: `Picture of attribute ${one.unit}` }),
        make("figcaption", {}, make("strong", {}, one.unit), `gate ${one.gate.toFixed(2)}, others ${one.others.toFixed(2)}`)))),
    ];
  }));
}

function drawSubject() {
  const one = subject(), pictures = byId("pictures");
  const figure = (source, title, text) => make("figure", {}, make("img", { src: source, alt: title }), make("figcaption", {}, make("strong", {}, title), text));
  pictures.replaceChildren();
  if (one.pictures.original) {
    pictures.append(figure(one.pictures.original, "Original", one.title),
      figure(one.pictures.encoded, "Encoded", `mean squared error ${short(one.error_before)}`),
      figure(one.pictures.image, "Refined, and explained here", `mean squared error ${short(one.error_after)}`));
  } else pictures.append(figure(one.pictures.image, "Drawn by the generator", one.title));
  byId("subjects").querySelectorAll("button").forEach((button, index) => button.setAttribute("aria-pressed", index === state.subject));
  byId("sums").tBodies[0].replaceChildren(...one.levels.map((level, index) => make("tr", {}, ...[
    level.name, whole(level.active), tiny(level.unit_residual), index ? tiny(level.edge_residual) : "–"].map((text) => make("td", {}, text)))));
  state.path = extend(["image", one.roots[0]]);
  state.focus = 1;
  drawClasses();
  drawTree();
  drawTop();
}

byId("about").textContent = data.about;
byId("exact").textContent = `All sums checked: the largest residual is ${tiny(data.residual)} of the largest value.`;
if (data.images.length > 1) {
  byId("subjects").append(...data.images.map((one, index) => make("button", {
    type: "button", "aria-pressed": "false", title: one.title, onclick: () => { state.subject = index; drawSubject(); },
  }, make("img", { src: one.pictures.image, alt: one.title }))));
}
byId("top-levels").append(...data.shown_levels.map((level, index) => make("label", {},
  make("input", { type: "radio", name: "top-level", value: index, ...(index ? {} : { checked: "" }),
    onchange: () => { state.topLevel = index; drawTop(); } }), data.levels[level])));
byId("m").addEventListener("input", () => { state.step = Number(byId("m").value); drawTop(); });
byId("atlases").append(...data.atlases.map((atlas) => make("figure", {},
  make("img", { src: atlas.picture, alt: `Basis functions of level ${atlas.name}` }),
  make("figcaption", {}, make("b", {}, atlas.name), ` · ${atlas.caption}`))));
drawSubject();
let pending = 0;
addEventListener("resize", () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(drawLinks); });
addEventListener("load", drawLinks);

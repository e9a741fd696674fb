/** What made the picture or a spot of it, and everything about the chosen part. */

import { byId, element, percent } from "./dom.js";
import { paintPart } from "./drawing.js";
import { LONGEST } from "./names.js";
import { titleOf } from "./state.js";

const SIZES = ["Largest", "Large", "Small", "Finest"];
const FAMILY = 6;
const RIVALS = 5;
const ELSEWHERE = 16;
const OFFERED = 6;

export class PartsPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    Object.assign(this, { studio, level: 0, chosen: null, ranked: null, listed: [] });
    studio.model.levels.forEach(({ height, width }, number) => {
      const button = element("button", { textContent: `${SIZES[number] ?? ""} ${height}×${width}` });
      button.onclick = () => studio.doing(() => this.showLevel(number));
      byId("levels").append(button);
    });
    byId("count").oninput = () => studio.doing(() => this.list(), "list");
    byId("name").maxLength = LONGEST;
    byId("name").onchange = () => studio.doing(() => this.rename(byId("name").value));
    byId("elsewhere").onclick = () => studio.doing(() => this.showElsewhere());
    byId("swap").onclick = () => this.borrow("swap", this.chosen.unit);
    document.querySelectorAll("[data-do]").forEach((button) => { button.onclick = () => this.change({ factor: Number(button.dataset.do) }); });
    document.querySelectorAll("[data-move]").forEach((button) => {
      const [rows, columns] = button.dataset.move.split(",").map(Number);
      button.onclick = () => this.change({ rows, columns });
    });
  }

  /** Ranks the units of all levels by what they add to a region of the original. */
  async rank(box) {
    this.studio.region = box;
    this.ranked = await this.studio.picture.shares(box);
    await this.list();
  }

  showLevel(level) {
    this.level = level;
    return this.list();
  }

  async list() {
    const { region, model, picture } = this.studio;
    [...byId("levels").children].forEach((button, number) => button.setAttribute("aria-pressed", number === this.level));
    const all = this.ranked[this.level];
    const top = all.slice(0, Number(byId("count").value));
    const sum = (units) => units.reduce((total, { share }) => total + share, 0);
    const whole = region.bottom - region.top === model.imageSize && region.right - region.left === model.imageSize;
    byId("covers").textContent = `${percent(sum(top))} of ${whole ? "the picture" : "the marked spot"} with ${top.length} part${top.length === 1 ? "" : "s"}`;
    byId("residual").textContent = `All ${all.length} parts of this size add up to ${sum(all).toFixed(6)} of it.`;
    const parts = await picture.partsOf(this.level, top.map(({ unit }) => unit));
    this.listed = top.map((one, place) => ({ ...one, part: parts[place] }));
    byId("units").replaceChildren(...this.listed.map(({ unit, share, part }) => this.card(this.level, unit, percent(share), part)));
  }

  /** Lights the listed part that does most at a pixel; null: none. */
  point(row, column) {
    document.querySelectorAll("#units .lit").forEach((card) => card.classList.remove("lit"));
    const found = row === null ? null : this.strongestAt(row, column);
    if (found === null) {
      if (row === null) this.studio.repaint();
      return;
    }
    byId("units").children[found].firstChild.classList.add("lit");
    this.studio.light(this.level, this.listed[found].unit, this.listed[found].part);
  }

  strongestAt(row, column) {
    const { imageSize, channels } = this.studio.model;
    let best = null, most = 0;
    this.listed.forEach(({ part }, place) => {
      let here = 0;
      for (let colour = 0; colour < channels; colour += 1) here += Math.abs(part[(row * imageSize + column) * channels + colour]);
      if (here > most) [best, most] = [place, here];
    });
    return best;
  }

  /** A unit as its picture; pointing at it lights its place. */
  card(level, unit, text, part, act = null) {
    const { studio } = this;
    const name = studio.names.of(level, unit);
    const canvas = element("canvas");
    paintPart(canvas, part, studio.model);
    const button = element("button", { className: "unit" }, canvas, element("span", { textContent: name ? `${name} ${text}` : text }));
    button.setAttribute("aria-label", act ? `Insert ${name || "a part"}, ${text}` : `${name || "Part"}, ${text}`);
    if (!act) button.setAttribute("aria-pressed", this.chosen?.level === level && this.chosen?.unit === unit);
    button.onclick = act ?? (() => studio.doing(() => this.choose({ level, unit })));
    button.onpointerenter = button.onfocus = () => studio.light(level, unit, part);
    button.onpointerleave = button.onblur = () => studio.repaint();
    return element("li", {}, button);
  }

  async choose(unit) {
    this.chosen = unit;
    byId("chosen").hidden = unit === null;
    byId("elsewhere-list").replaceChildren();
    if (unit === null) return;
    const { level } = unit;
    const { model, picture, names } = this.studio;
    paintPart(byId("part"), await picture.part(level, unit.unit), model);
    byId("name").value = names.of(level, unit.unit);
    const share = this.ranked[level].find((one) => one.unit === unit.unit)?.share ?? 0;
    byId("about").textContent = `What it draws, by itself, in raised contrast. It makes ${percent(share)} of what is marked.`;
    const { children, below } = await picture.edges(level, unit.unit);
    await this.family(byId("children"), level + 1, children, level + 1 === model.levels.length ? "It goes straight into the picture." : "It draws nothing here.");
    await this.family(byId("parents"), level - 1, below[level - 1], "Nothing is larger: it comes from the latent.");
    byId("rivals").textContent = this.contest(model.levels[level], picture.value(level, unit.unit), await picture.choice(level, unit.unit, RIVALS));
    await this.offer();
    this.press();
  }

  press() {
    const { level, unit } = this.chosen;
    this.listed.forEach((one, place) => byId("units").children[place].firstChild.setAttribute("aria-pressed", this.level === level && one.unit === unit));
  }

  async family(list, level, units, without) {
    const { index = [], value = [] } = units ?? {};
    const order = [...index.keys()].sort((a, b) => Math.abs(value[b]) - Math.abs(value[a])).slice(0, FAMILY);
    if (!order.length) return list.replaceChildren(element("li", { textContent: without }));
    const parts = await this.studio.picture.partsOf(level, order.map((place) => index[place]));
    list.replaceChildren(...order.map((place, number) => this.card(level, index[place], value[place].toFixed(2), parts[number])));
  }

  contest({ placed }, value, { rank, margin, gate, always, response, kept }) {
    const own = value / (gate || 1); // Its response, as the others' are.
    if (always) return `It answered with ${own.toFixed(2)}. It belongs to the background: it is always kept, and nothing competes for its place.`;
    const others = [...response].map((other, place) => other.toFixed(2) + (kept[place] ? "" : " (not kept)")).join(", ");
    const competed = placed ? "the other basis functions of its place" : "its map's other positions";
    const won = margin === null ? `None of ${competed} was turned away.` : `Among ${competed} it was ${margin.toFixed(2)} above the best that was turned away.`;
    return `It answered with ${own.toFixed(2)}, the ${ordinal(rank)}strongest here. ${won} The strongest others here: ${others || "none"}.`;
  }

  /** What the pinned picture that was picked has at the place of the chosen part. */
  async offer() {
    const donor = this.studio.donor();
    byId("borrow").hidden = donor === null || this.chosen === null;
    if (donor === null || this.chosen === null) return;
    const { level, unit } = this.chosen;
    const source = await this.studio.composer.open(donor);
    const units = source.atCell(level, unit).sort((a, b) => source.value(level, b) - source.value(level, a)).slice(0, OFFERED);
    byId("borrow-title").textContent = `From ${titleOf(donor)}, at the same place`;
    byId("swap").disabled = units.length === 0;
    const parts = await source.partsOf(level, units);
    const cards = units.map((one, place) => this.card(level, one, source.value(level, one).toFixed(2), parts[place], () => this.borrow("insert", one)));
    byId("offers").replaceChildren(...(cards.length ? cards : [element("li", { textContent: "It has no part of this size here." })]));
  }

  borrow(kind, unit) {
    if (!this.chosen || !this.studio.arrived) return;
    const { level } = this.chosen;
    const made = { do: kind, level, unit, factor: 1, rows: 0, columns: 0, on: true, donor: this.studio.donor() };
    this.studio.change({ edits: [...this.studio.state.edits, made] });
  }

  /** Adds a change of the chosen part, or alters the one it has. */
  change({ factor, rows = 0, columns = 0 }) {
    if (!this.chosen || !this.studio.arrived) return;
    const { edits } = this.studio.state;
    const { level, unit } = this.chosen;
    const same = (one) => one.do === "change" && one.level === level && one.unit === unit;
    const old = edits.find(same) ?? { do: "change", level, unit, factor: 1, rows: 0, columns: 0, on: true };
    const { height, width } = this.studio.model.levels[level];
    const limit = (value, most) => Math.min(Math.max(value, -most), most);
    const made = { ...old, on: true, factor: factor ?? old.factor, rows: limit(old.rows + rows, height), columns: limit(old.columns + columns, width) };
    this.studio.change({ edits: edits.some(same) ? edits.map((one) => (same(one) ? made : one)) : [...edits, made] });
  }

  async rename(name) {
    const { level, unit } = this.chosen;
    await this.studio.names.set(level, unit, name);
    this.studio.say(name ? `This basis function is called ${this.studio.names.of(level, unit)} now.` : "The name is gone.");
    await this.list();
  }

  /** Where the same basis function does most in other pictures. */
  async showElsewhere() {
    const { level, unit } = this.chosen;
    const { model, composer, state } = this.studio;
    const { channels, placed } = model.levels[level];
    const list = byId("elsewhere-list");
    list.replaceChildren();
    const same = (other) => (placed ? other === unit : other % channels === unit % channels);
    const first = state.origin.seed ?? 0;
    let used = 0;
    for (let number = 1; number <= ELSEWHERE; number += 1) {
      const origin = { seed: (first + number) | 0, truncation: state.origin.truncation ?? 1 };
      const picture = await composer.open(origin);
      const active = [...picture.activations[level]].filter(([other]) => same(other));
      const [place] = active.reduce((best, one) => (one[1] > best[1] ? one : best), [null, -Infinity]);
      used += place === null ? 0 : 1;
      const canvas = element("canvas");
      if (place !== null) paintPart(canvas, await picture.part(level, place), model);
      const title = place === null ? `not in ${origin.seed}` : `${origin.seed}`;
      list.append(element("li", { className: place === null ? "absent" : "" }, canvas, element("span", { textContent: title })));
    }
    this.studio.say(`It is in ${used} of ${ELSEWHERE} other pictures.`);
  }
}

function ordinal(number) {
  if (number === 1) return "";
  return `${number}${{ 1: "st", 2: "nd", 3: "rd" }[number % 100 > 10 && number % 100 < 14 ? 0 : number % 10] ?? "th"} `;
}

/** Which picture: a seed, near it, between two, or a pinned one. */

import { byId, element } from "./dom.js";
import { paint } from "./drawing.js";
import { chosen } from "./labels.js";
import { MOST_PINS, seedOf, titleOf } from "./state.js";

const NEARBY = 8;
const STEP = 0.35; // Of the way to another seed.

export class DrawPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    Object.assign(this, { studio, picked: null });
    const draw = (seed) => this.open({ seed: seedOf(seed), truncation: this.truncation, ...this.chosen });
    byId("seed").onchange = () => draw(byId("seed").value);
    byId("before").onclick = () => draw(this.seed - 1);
    byId("after").onclick = () => draw(this.seed + 1);
    const { prior } = studio.model;
    byId("truncation").oninput = () => studio.preview({ origin: this.truncated(), edits: [] });
    byId("truncation").onchange = () => this.open(this.truncated());
    byId("truncation").title = prior === "normal" ? "0 is the mean picture" : "0 is the middle of the latent space";
    byId("nearby").ontoggle = () => studio.doing(() => this.showNearby(), "nearby");
    const between = () => ({ seed: this.seed, other: seedOf(byId("other").value), share: Number(byId("share").value), truncation: this.truncation, ...this.chosen });
    byId("other").onchange = () => this.open(between());
    byId("share").oninput = () => studio.preview({ origin: between(), edits: [] });
    byId("share").onchange = () => this.open(between());
    byId("pin").onclick = () => this.pin();
  }

  get seed() {
    return this.studio.state.origin.seed ?? 0;
  }

  get truncation() {
    return Number(byId("truncation").value);
  }

  /** The chosen classes, which other pictures keep. */
  get chosen() {
    return chosen(this.studio.state.origin.classes, this.studio.model);
  }

  truncated() {
    const { origin } = this.studio.state;
    return origin.latent === undefined ? { ...origin, truncation: this.truncation } : origin;
  }

  /** Draws another picture; what was changed belonged to the one before. */
  open(origin) {
    this.studio.change({ origin, edits: [] });
  }

  /** The pinned picture that parts are taken from, or null. */
  donor() {
    return this.studio.state.pins[this.picked] ?? null;
  }

  pin() {
    const { pins, origin } = this.studio.state;
    const key = JSON.stringify(origin);
    if (pins.some((pin) => JSON.stringify(pin) === key)) return this.studio.say("This picture is pinned already.");
    if (pins.length === MOST_PINS) return this.studio.say(`${MOST_PINS} pictures are pinned; unpin one first.`);
    this.picked = pins.length;
    return this.studio.change({ pins: [...pins, origin] });
  }

  async refresh() {
    const { origin, pins } = this.studio.state;
    byId("truncation").disabled = origin.latent !== undefined;
    if (origin.latent === undefined) {
      byId("seed").value = origin.seed;
      byId("truncation").value = origin.truncation;
      byId("share").value = origin.share ?? 0;
      if (origin.other !== undefined) byId("other").value = origin.other;
    }
    byId("no-pins").hidden = pins.length > 0;
    const items = [];
    for (const [place, pin] of pins.entries()) items.push(await this.pinned(pin, place));
    byId("pins").replaceChildren(...items);
    if (byId("nearby").open) this.studio.doing(() => this.showNearby(), "nearby");
  }

  async thumbnail(origin, label, act) {
    const canvas = element("canvas");
    paint(canvas, (await this.studio.composer.open(origin)).logits, this.studio.model);
    const button = element("button", { className: "unit", onclick: act }, canvas);
    button.setAttribute("aria-label", label);
    return button;
  }

  async pinned(pin, place) {
    const { studio } = this;
    const title = titleOf(pin);
    const pick = await this.thumbnail(pin, `Take parts from ${title}`, () => {
      this.picked = this.picked === place ? null : place;
      studio.doing(() => studio.refresh());
    });
    pick.setAttribute("aria-pressed", this.picked === place);
    const draw = element("button", { textContent: "Draw", onclick: () => this.open(pin) });
    draw.setAttribute("aria-label", `Draw ${title}`);
    const unpin = element("button", {
      textContent: "Unpin",
      onclick: () => {
        this.picked = null;
        studio.change({ pins: studio.state.pins.filter((_, at) => at !== place) });
      },
    });
    unpin.setAttribute("aria-label", `Unpin ${title}`);
    return element("li", { className: "pin" }, pick, element("span", { textContent: title }), element("span", { className: "buttons" }, draw, unpin));
  }

  /** Pictures a step from this one, each towards another seed. */
  async showNearby() {
    const list = byId("nearby-list");
    const { origin } = this.studio.state;
    if (!byId("nearby").open) return;
    if (origin.latent !== undefined) return void list.replaceChildren(element("li", { textContent: "Only pictures with a number have neighbours." }));
    list.replaceChildren();
    for (let number = 1; number <= NEARBY; number += 1) {
      const near = { seed: origin.seed, other: seedOf(origin.seed + 1000 * number), share: STEP, truncation: origin.truncation, ...this.chosen };
      list.append(element("li", {}, await this.thumbnail(near, `A picture near number ${origin.seed}, ${number}`, () => this.open(near))));
    }
  }
}

/** The page: opens an engine and a state, and brings the panels together. */

import { ChangesPanel } from "./changes_panel.js";
import { ClassPanel } from "./class_panel.js";
import { Composer } from "./compose.js";
import { byId } from "./dom.js";
import { DrawPanel } from "./draw_panel.js";
import { openEngine } from "./engine.js";
import { KeepPanel } from "./keep_panel.js";
import { Names } from "./names.js";
import { PartsPanel } from "./parts_panel.js";
import { PhotoPanel } from "./photo_panel.js";
import { PicturePanel } from "./picture_panel.js";
import { makeQueue } from "./queue.js";
import { fromText, History } from "./state.js";
import { Tour } from "./tour.js";

const START = { origin: { seed: 0, truncation: 1 }, anew: false, pins: [], edits: [] };

/**
 * What the panels share: the state and its history, the picture of its origin, what is
 * shown (logits, with changes) and which region of the picture is marked.
 */
class Studio {
  constructor(engine, names, history, doing) {
    Object.assign(this, { engine, names, history, doing, model: engine.model, composer: new Composer(engine), picture: null, shown: null, region: null });
    this.pictures = new PicturePanel(this, (box) => doing(() => this.ask(box)), (row, column) => this.parts.point(row, column));
    this.parts = new PartsPanel(this);
    this.changes = new ChangesPanel(this);
    this.draws = new DrawPanel(this);
    this.classes = new ClassPanel(this);
    this.photo = new PhotoPanel(this);
    this.keep = new KeepPanel(this);
    this.tour = new Tour(this);
  }

  get state() {
    return this.history.state;
  }

  say(text) {
    byId("status").textContent = text;
  }

  repaint() {
    this.pictures.repaint();
  }

  light(level, unit, part) {
    this.pictures.light(level, unit, part);
  }

  donor() {
    return this.draws.donor();
  }

  /** Puts other values on the table, at once: the next click counts on them. Drawing follows. */
  change(values) {
    this.history.change({ ...this.state, ...values });
    this.doing(() => this.show(), "show");
  }

  /** Paints a state that is not kept, as while a slider moves; the newest wins. */
  preview(values) {
    this.doing(async () => {
      const state = { ...this.state, ...values };
      this.shown = (await this.composer.draw(state)).logits;
      this.repaint();
    }, "preview");
  }

  step(by) {
    this.history.step(by);
    this.doing(() => this.show(), "show");
  }

  /** Whether what is shown is of the state's origin, and not of one that is being left. */
  get arrived() {
    return this.picture !== null && JSON.stringify(this.picture.origin) === JSON.stringify(this.state.origin);
  }

  ask(box) {
    return this.parts.rank(box).then(() => this.repaint());
  }

  /** Paints the state, and asks anew what made the picture, if it is another one. */
  async show() {
    const { state, model, arrived } = this;
    this.picture = await this.composer.open(state.origin);
    const { logits, rechosen } = await this.composer.draw(state);
    this.shown = logits;
    if (!arrived) this.region = null;
    this.repaint();
    if (!arrived) {
      await this.parts.choose(null);
      await this.ask({ top: 0, left: 0, bottom: model.imageSize, right: model.imageSize });
    }
    await this.refresh();
    if (!state.edits.some((edit) => edit.on)) this.say("The picture as the model drew it.");
    else if (rechosen === null) this.say("Only what you changed is different.");
    else this.say(`The finer sizes chose anew: ${rechosen.count} of their ${rechosen.of} parts are others.`);
  }

  async refresh() {
    await this.changes.refresh();
    await this.draws.refresh();
    await this.classes.refresh();
    await this.parts.offer();
  }

  // What the tour puts on the table.

  async begin(origin) {
    this.history.change({ ...START, origin });
    await this.show();
  }

  async showParts(level) {
    await this.parts.showLevel(level);
  }

  async askMiddle(level) {
    const middle = this.model.imageSize / 2;
    this.parts.level = level;
    await this.ask({ top: middle - 4, left: middle - 4, bottom: middle + 4, right: middle + 4 });
    await this.parts.choose({ level, unit: this.parts.ranked[level][0].unit });
  }

  async removeStrongest(level, anew) {
    await this.askMiddle(level);
    const { unit } = this.parts.ranked[level][0];
    const edit = { do: "change", level, unit, factor: 0, rows: 0, columns: 0, on: true };
    this.history.change({ ...this.state, anew, edits: [edit] });
    await this.show();
  }

  async swapMiddle(donor) {
    await this.askMiddle(0);
    this.draws.picked = 0;
    const { width, height, channels } = this.model.levels[0];
    const cells = [[height / 2 - 1, width / 2 - 1], [height / 2 - 1, width / 2], [height / 2, width / 2 - 1], [height / 2, width / 2]];
    const edits = cells.map(([row, column]) => ({ do: "swap", level: 0, unit: (row * width + column) * channels, factor: 1, rows: 0, columns: 0, on: true, donor }));
    this.history.change({ ...this.state, anew: true, pins: [donor], edits });
    await this.show();
  }
}

async function begin() {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.has("token")) sessionStorage.setItem("token", hash.get("token"));
  const engine = await openEngine();
  const doing = makeQueue((error) => byId("status").textContent = error.message, (busy) => byId("main").setAttribute("aria-busy", busy));
  document.title = `Studio: ${engine.model.name}`;
  byId("model").textContent = engine.model.name;
  let state = START, trouble = "";
  try {
    if (hash.has("state")) state = fromText(hash.get("state"), engine.model);
  } catch (error) {
    trouble = error.message;
  }
  if (!hash.has("tour")) location.replace("#");
  const studio = new Studio(engine, await Names.read(engine), new History(state), doing);
  const step = Number(hash.get("tour"));
  if (step >= 1 && step <= studio.tour.length) return studio.tour.go(Math.trunc(step));
  doing(() => studio.show());
  if (trouble) doing(() => studio.say(trouble));
}

begin().catch((error) => { byId("status").textContent = error.message; });

/** The large picture: what is painted, what is pointed at, what is marked. */

import { byId } from "./dom.js";
import { boxOf, outline, paint, paintDifference, paintWipe } from "./drawing.js";

const SCALE = 8;
const AROUND = 2; // Pixels that a click marks to every side.
const MODES = ["changed", "original", "wipe", "difference"];

export class PicturePanel {
  /**
   * @param {object} studio  see main.js.
   * @param {(box: object) => void} mark  what a click or rectangle does.
   * @param {(row: number, column: number) => void} point  what pointing does.
   */
  constructor(studio, mark, point) {
    Object.assign(this, { studio, mark, point, mode: "changed", painted: 0, spot: { row: 0, column: 0 } });
    this.canvas = byId("picture");
    MODES.forEach((mode) => { byId(`mode-${mode}`).onclick = () => this.show(mode); });
    byId("wipe").oninput = () => this.repaint();
    this.listen();
  }

  show(mode) {
    this.mode = mode;
    MODES.forEach((other) => byId(`mode-${other}`).setAttribute("aria-pressed", other === mode));
    byId("wipe-row").hidden = mode !== "wipe";
    this.repaint();
  }

  /** Paints the state, and outlines a box, or what is marked. */
  repaint(lit = null) {
    const { model, picture, shown, region } = this.studio;
    const before = picture.logits;
    let told = "";
    if (this.mode === "wipe") {
      paintWipe(this.canvas, before, shown, Math.round(Number(byId("wipe").value) * model.imageSize), model, SCALE);
    } else if (this.mode === "difference") {
      const most = paintDifference(this.canvas, before, shown, model, SCALE);
      told = most ? `Orange adds light, blue takes it; full colour is ${most.toFixed(3)} before tanh.` : "There is no difference.";
    } else {
      paint(this.canvas, this.mode === "original" ? before : shown, model, SCALE);
    }
    byId("scale").textContent = told;
    if (lit) outline(this.canvas, lit, model);
    else if (region && region.bottom - region.top < model.imageSize) outline(this.canvas, region, model);
    this.painted += 1;
    this.canvas.dataset.painted = this.painted;
  }

  /** Outlines the cell of a unit; of a part that may be elsewhere, what it draws. */
  light(level, unit, part) {
    const { model } = this.studio;
    const { width, channels, cell, free } = model.levels[level];
    const row = Math.floor(unit / (width * channels)), column = Math.floor(unit / channels) % width;
    const home = { top: row * cell, left: column * cell, bottom: (row + 1) * cell, right: (column + 1) * cell };
    this.repaint(free ? boxOf(part, model) : home);
  }

  listen() {
    let from = null;
    this.canvas.onpointerdown = (event) => {
      from = this.pixel(event);
      this.canvas.setPointerCapture(event.pointerId);
    };
    this.canvas.onpointermove = (event) => {
      const at = this.pixel(event);
      if (from) this.repaint(this.between(from, at));
      else this.point(at.row, at.column);
    };
    this.canvas.onpointerup = (event) => {
      if (from) this.mark(this.between(from, this.pixel(event)));
      from = null;
    };
    this.canvas.onpointerleave = () => { if (!from) this.point(null, null); };
    this.canvas.onkeydown = (event) => this.key(event);
  }

  key(event) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0], " ": [0, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    const { spot } = this;
    this.spot = { row: this.inside(spot.row + 2 * by[0]), column: this.inside(spot.column + 2 * by[1]) };
    const box = this.between(this.spot, this.spot);
    this.repaint(box);
    this.point(this.spot.row, this.spot.column);
    if (by[0] === 0 && by[1] === 0) this.mark(box);
  }

  inside(value) {
    return Math.min(Math.max(value, 0), this.studio.model.imageSize - 1);
  }

  pixel(event) {
    const box = this.canvas.getBoundingClientRect();
    const scaled = (value) => this.inside(Math.floor(value * this.studio.model.imageSize));
    return { row: scaled((event.clientY - box.top) / box.height), column: scaled((event.clientX - box.left) / box.width) };
  }

  /** The rectangle between two pixels; a single one is widened. */
  between(a, b) {
    const around = a.row === b.row && a.column === b.column ? AROUND : 0;
    const most = this.studio.model.imageSize;
    return {
      top: Math.max(Math.min(a.row, b.row) - around, 0),
      left: Math.max(Math.min(a.column, b.column) - around, 0),
      bottom: Math.min(Math.max(a.row, b.row) + 1 + around, most),
      right: Math.min(Math.max(a.column, b.column) + 1 + around, most),
    };
  }
}

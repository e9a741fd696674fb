/** The list of changes: every one can be switched, weighted and dropped. */

import { byId, element } from "./dom.js";
import { paintPart } from "./drawing.js";
import { titleOf } from "./state.js";

export class ChangesPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    this.studio = studio;
    byId("anew").onchange = () => studio.change({ anew: byId("anew").checked });
    byId("undo").onclick = () => studio.step(-1);
    byId("redo").onclick = () => studio.step(1);
    document.onkeydown = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches("input")) return;
      event.preventDefault();
      studio.step(event.shiftKey ? 1 : -1);
    };
  }

  async refresh() {
    const { history, state } = this.studio;
    byId("anew").checked = state.anew;
    byId("undo").disabled = history.place === 0;
    byId("redo").disabled = history.place === history.states.length - 1;
    byId("no-edits").hidden = state.edits.length > 0;
    const items = [];
    for (const [place, edit] of state.edits.entries()) items.push(await this.item(edit, place));
    byId("edits").replaceChildren(...items);
  }

  async item(edit, place) {
    const { studio } = this;
    const canvas = element("canvas");
    const source = await studio.composer.open(edit.donor ?? studio.state.origin);
    paintPart(canvas, await (edit.do === "swap" ? source.cell(edit.level, edit.unit) : source.part(edit.level, edit.unit)), studio.model);
    // What this item is of, whatever was done to the list since it was made.
    let own = edit;
    const replaced = (values) => studio.state.edits.map((other) => (other === own ? { ...own, ...values } : other));
    const replace = (values) => {
      const at = studio.state.edits.indexOf(own);
      if (at < 0) return;
      studio.change({ edits: replaced(values) });
      own = studio.state.edits[at];
    };
    const on = element("input", { type: "checkbox", checked: edit.on });
    on.setAttribute("aria-label", `Change ${place + 1} counts`);
    on.onchange = () => replace({ on: on.checked });
    const strength = element("input", { type: "range", min: -1, max: 3, step: 0.25, value: edit.factor });
    strength.setAttribute("aria-label", `Strength of change ${place + 1}`);
    strength.oninput = () => studio.preview({ edits: replaced({ factor: Number(strength.value) }) });
    strength.onchange = () => replace({ factor: Number(strength.value) });
    const drop = element("button", { textContent: "Drop" });
    drop.setAttribute("aria-label", `Drop change ${place + 1}`);
    drop.onclick = () => studio.change({ edits: studio.state.edits.filter((other) => other !== own) });
    return element("li", {}, on, canvas, strength, element("span", { textContent: this.words(edit, source) }), drop);
  }

  words({ do: kind, level, unit, factor, rows, columns, donor }, source) {
    const name = this.studio.names.of(level, unit);
    const times = factor === 1 ? "" : `, times ${factor}`;
    const moved = rows || columns ? `, moved ${rows} down and ${columns} right` : "";
    if (kind === "swap") return `swapped from ${titleOf(donor)}${times}`;
    if (kind === "insert") return `${name || "part"} of ${titleOf(donor)}${times}${moved}`;
    // Of another class the picture may be made of other parts.
    const absent = source.value(level, unit) === 0 ? ", which this picture does not have" : "";
    return `${name ? `${name}: ` : ""}${factor === 0 ? "removed" : `times ${factor}`}${moved}${absent}`;
  }
}

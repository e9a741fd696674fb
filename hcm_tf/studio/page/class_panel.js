/** As which classes a picture is drawn, of a conditional model. */

import { othersThan } from "./compose.js";
import { byId, element, percent } from "./dom.js";
import { behind, chosen } from "./labels.js";

export class ClassPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    this.studio = studio;
    this.labels = studio.model.labels.map(({ name, classes }) => {
      const options = classes.map((one) => element("option", { textContent: one }));
      // The first leaves the class to the seed, or to the encoder.
      const select = element("select", {}, element("option"), ...options);
      select.onchange = () => this.choose(name, classes[select.selectedIndex - 1]);
      const title = name.replaceAll("_", " ");
      byId("classes").append(element("label", {}, `${title[0].toUpperCase()}${title.slice(1)} `, select));
      return { name, title, classes, select };
    });
    byId("classes").hidden = this.labels.length === 0;
  }

  /** Draws the same latent as another class; undefined: as its own. What was changed stays. */
  choose(name, one) {
    const { state, model } = this.studio;
    const { classes = {}, ...plain } = state.origin;
    const { [name]: _, ...others } = classes;
    this.studio.change({ origin: { ...plain, ...chosen(one === undefined ? others : { ...others, [name]: one }, model) } });
  }

  async refresh() {
    if (!this.labels.length) return;
    const { state, model, composer, picture } = this.studio;
    const { classes = {}, ...plain } = state.origin;
    const before = await composer.open(plain);
    const how = plain.latent !== undefined ? "as it was read" : plain.share ? "by their numbers" : "by its number";
    const told = [];
    behind(before.traced.latent, model).forEach((found, number) => {
      const { name, title, classes: all, select } = this.labels[number];
      const mixed = found.length > 1;
      const own = mixed ? found.map((one) => `${percent(one.share)} ${one.name}`).join(", ") : found[0]?.name ?? "no class";
      select.options[0].textContent = mixed ? own : `${own}, ${how}`;
      select.selectedIndex = 1 + all.indexOf(classes[name]);
      if (select.selectedIndex > 0 && classes[name] !== own) told.push(`${title} ${classes[name]} instead of ${own}`);
    });
    const { count, of } = othersThan(picture.traced.codes, before);
    byId("classes-told").textContent = told.length ? `The same latent, ${told.join(", ")}: ${count} of its ${of} parts are others.` : "";
  }
}

/** Five links that explain the model to somebody who never heard of it. */

import { byId } from "./dom.js";

const SEED = 0;
const DONOR = 1;

/** Each: what to read, and what to put on the table. */
const STEPS = [
  {
    text: "The model drew this picture as a sum of parts, and nothing else. At every size it let only the strongest few through; all others were silenced. Move the pointer over the picture: the part that does most there lights up.",
    set: async (studio) => studio.showParts(0),
  },
  {
    text: "What made this spot? The marked square is a click. On the right are the parts that made it, each with its exact share: they add up to the whole. One is chosen, and the page shows what it draws by itself, the finer parts that compose it and the larger ones that it serves.",
    set: async (studio) => studio.askMiddle(1),
  },
  {
    text: "Now that part is removed. Only what it had drawn is gone; everything else is the same to the last digit, because the picture is a sum. Press Wipe or Difference under the picture to compare, or Undo to bring it back.",
    set: async (studio) => studio.removeStrongest(1, false),
  },
  {
    text: "The same part is gone, but the finer parts may adapt: they compete again for their places, and some that had lost now win. The line under the picture counts them.",
    set: async (studio) => studio.removeStrongest(1, true),
  },
  {
    text: "Parts can come from elsewhere. Another picture is pinned, and the largest parts in the middle are swapped for its own; the finer ones adapt. Take any part of any picture: pin it, choose a place, swap or insert. The rest is yours to try.",
    set: async (studio) => studio.swapMiddle({ seed: DONOR, truncation: 1 }),
  },
];

export class Tour {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    this.studio = studio;
    byId("tour-start").onclick = () => this.go(1);
    byId("tour-end").onclick = () => { byId("tour").hidden = true; };
    byId("tour-back").onclick = () => this.go(this.step - 1);
    byId("tour-on").onclick = () => this.go(this.step + 1);
  }

  get length() {
    return STEPS.length;
  }

  /** Goes to a step, from 1 on. */
  go(step) {
    this.step = step;
    this.studio.doing(async () => {
      const { text, set } = STEPS[step - 1];
      byId("tour").hidden = false;
      byId("tour-text").textContent = `${step} of ${STEPS.length}. ${text}`;
      byId("tour-back").disabled = step === 1;
      byId("tour-on").disabled = step === STEPS.length;
      window.history.replaceState(null, "", `#tour=${step}`);
      await this.studio.begin({ seed: SEED, truncation: 1 });
      await set(this.studio);
    });
  }
}

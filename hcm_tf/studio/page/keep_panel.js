/** Taking things along: link, picture, session, tree, names. */

import { byId, download, downloadText, element } from "./dom.js";
import { paint } from "./drawing.js";
import { fromText, toText } from "./state.js";
import { growTree } from "./tree.js";

const LONGEST_LINK = 2000; // Longer ones are cut by what people paste them into.
const LARGEST_FILE = 2 ** 20;

export class KeepPanel {
  /** @param {object} studio  see main.js. */
  constructor(studio) {
    this.studio = studio;
    const { doing } = studio;
    byId("link").onclick = () => doing(() => this.copyLink());
    byId("save").onclick = () => doing(() => this.savePicture());
    byId("save-session").onclick = () => doing(() => downloadText(`${this.title}.json`, toText(studio.state, studio.model.hash)));
    byId("save-tree").onclick = () => doing(() => this.saveTree());
    byId("save-names").onclick = () => doing(() => downloadText("names.json", studio.names.toText()));
    byId("session").onchange = () => {
      const [file] = byId("session").files;
      byId("session").value = ""; // Else the same file, mended, could not be chosen again.
      doing(() => this.openSession(file));
    };
  }

  get title() {
    const { origin } = this.studio.state;
    return `${this.studio.model.name}-${origin.seed ?? "own"}`;
  }

  async copyLink() {
    const text = encodeURIComponent(toText(this.studio.state, this.studio.model.hash));
    const link = `${location.href.split("#")[0]}#state=${text}`;
    if (link.length > LONGEST_LINK) return this.studio.say("This is too much for a link: save the session as a file.");
    window.history.replaceState(null, "", link);
    await navigator.clipboard?.writeText(link).catch(() => {});
    return this.studio.say("The link is in the address bar, and copied where the browser allows it.");
  }

  savePicture() {
    const canvas = element("canvas");
    paint(canvas, this.studio.shown, this.studio.model);
    download(`${this.title}.png`, canvas.toDataURL("image/png"));
  }

  async saveTree() {
    const { studio } = this;
    const tree = await growTree(studio.picture, studio.names, (done) => studio.say(`The tree has ${done} nodes so far.`));
    downloadText(`${this.title}-tree.json`, JSON.stringify(tree, null, 1));
    studio.say(`The tree has ${tree.nodes.length} nodes; it is that of the picture as the model drew it.`);
  }

  async openSession(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) throw new Error(`${file.name} is too large for a session.`);
    const state = fromText(await file.text(), this.studio.model);
    this.studio.history.change(state);
    await this.studio.show();
  }
}

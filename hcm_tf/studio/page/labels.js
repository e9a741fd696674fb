/** Labels: which classes stand behind a latent, and which are asked for; see labels.py. */

/** Entries of a latent before its labels. */
export function freeSize({ latentSize, labels }) {
  return latentSize - labels.reduce((sum, { classes }) => sum + classes.length, 0);
}

/** Each label with `first`, the place in a latent of its first class. */
function placed(model) {
  let first = freeSize(model);
  return model.labels.map((label) => {
    const found = { ...label, first };
    first += label.classes.length;
    return found;
  });
}

/** A latent as other classes, each by the name of its label. */
export function withClasses(latent, classes, model) {
  const made = latent.slice();
  for (const { name, classes: all, first } of placed(model)) {
    if (Object.hasOwn(classes, name)) all.forEach((one, place) => { made[first + place] = one === classes[name] ? 1 : 0; });
  }
  return made;
}

/** What stands behind a latent: of each label its classes and their shares, the largest first. */
export function behind(latent, model) {
  return placed(model).map(({ classes, first }) => {
    const found = classes.map((name, place) => ({ name, share: latent[first + place] }));
    return found.filter(({ share }) => share > 0).sort((a, b) => b.share - a.share);
  });
}

/**
 * What an origin keeps of chosen classes, in the order of the labels: nothing if there are none.
 * @param {unknown} classes  by the names of their labels.
 * @returns {{classes?: Object<string, string>}}
 * @throws {Error} one sentence: the model has no such label or class.
 */
export function chosen(classes = {}, { labels }) {
  if (classes === null || typeof classes !== "object" || Array.isArray(classes)) throw new Error("This link or file is damaged.");
  const names = labels.map(({ name }) => name);
  for (const [name, one] of Object.entries(classes)) {
    const known = labels[names.indexOf(name)];
    if (!known) throw new Error(`This link or file chooses a label that there is not. This model has ${names.join(", ") || "none"}.`);
    if (!known.classes.includes(one)) throw new Error(`This link or file chooses a class that there is not. ${name} has ${known.classes.join(", ")}.`);
  }
  const kept = names.filter((name) => Object.hasOwn(classes, name)).map((name) => [name, classes[name]]);
  return kept.length ? { classes: Object.fromEntries(kept) } : {};
}

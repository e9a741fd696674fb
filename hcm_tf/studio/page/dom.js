/** Elements, and words for numbers. */

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; a string is text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;

/** Hands a file to the user. */
export function download(name, address) {
  element("a", { href: address, download: name }).click();
}

export function downloadText(name, text, type = "application/json") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  download(name, address);
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** The worker of browser_engine.js: answers one verb at a time. */

import { LocalEngine } from "./local_engine.js";

let engine = null;

self.onmessage = ({ data: { call, verb, args } }) => {
  try {
    if (verb === "open") {
      engine = new LocalEngine(args[0]);
      self.postMessage({ call, result: engine.model });
    } else {
      self.postMessage({ call, result: engine[verb](...args) });
    }
  } catch (error) {
    self.postMessage({ call, error: { name: error.name, message: error.message } });
  }
};

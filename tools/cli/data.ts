// moproc data: makes sample data and checks the image pipeline. A native tool does it, with the loader's code.

import type { Verb } from "./record.js";

const tool = (name: string, purpose: string): Verb => ({
  name,
  usage: "[flags]",
  purpose,
  native: { tool: "moproc-data", args: [name] },
});

export const data: Verb = {
  name: "data",
  usage: "VERB [flags]",
  purpose: "Makes sample data, packs folders and checks the image pipeline.",
  verbs: [
    tool("sample", "Writes a data folder of drawn scenes with wrong labels and out-of-class images."),
    tool("check", "Decodes every image of a data folder and says what is wrong with it."),
    tool("pack", "Writes a data folder as tar shards, which every verb reads like the folder."),
    tool("pixels", "Writes images under the test transform as raw bytes, as an exported model takes them."),
    tool("verify-pixels", "Compares decoding, resizing and colour operations with a folder of reference images."),
  ],
};

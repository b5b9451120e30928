// Computes the requested parts, as data, as text and as a page.

import { page } from "../../build/js/tools/report/page.js";
import { cores } from "./cores.mjs";
import { measure } from "./measure.mjs";
import { published } from "./plans.mjs";
import { simulations } from "./simulate.mjs";
import { coresText, measuredText, simulatedText, wireText } from "./text.mjs";
import { wire } from "./wire.mjs";

/**
 * Resolves to {data, text, html(): the page}. `o`: the parsed flags of tools/scaling.mjs; `dir`: folder for artefacts.
 */
export async function results(o, dir, say) {
  const sizes = { ...published, ...o.sizes };
  const data = {};
  if (o.parts.includes("measure")) data.measure = await measure(dir, { ...o.measure, say });
  if (o.parts.includes("cores")) data.cores = cores(dir, { ...o.cpu, say });
  if (o.parts.includes("wire")) data.wire = wire({ ranks: o.ranks, perRank: o.images, sizes, say });
  if (o.parts.includes("simulate"))
    data.simulate = simulations({ gpus: o.gpus, perGpu: o.images, sizes, net: o.net, say });
  const texts = [
    data.measure && measuredText(data.measure),
    data.cores && coresText(data.cores),
    data.wire && wireText(data.wire),
    data.simulate && simulatedText(data.simulate),
  ];
  return {
    data,
    text: texts.filter(Boolean).join("\n"),
    html: () => page({ title: "moproc: scaling", client: "scaling", data }),
  };
}

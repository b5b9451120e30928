// The measurements of npm run bench; tools/bench.mjs has the command line.

import { cpus } from "node:os";
import { geometricMean } from "./alternate.js";
import { compileAll, loaded, pair, peerName, type Subject } from "./both.js";
import { compared, type Entry, type Options } from "./compare.js";
import { operators } from "./operators.js";
import { peakMemory } from "./peak_memory.js";
import { type NamedModel, onImages, ownNetwork } from "./subjects.js";

export const cpuName = (): string => cpus()[0]?.model.trim() ?? "an unknown CPU";

const LIMIT = 1e-4; // the largest difference of networks and operators, relative to the largest output

/** Measures subjects, which are compiled as one artefact, one after another. Throws if results differ. */
async function measure(subjects: readonly Subject[], goal: (name: string) => number | null, o: Options) {
  const { dir, programs } = await compileAll(subjects);
  const a = loaded(dir, o.threads);
  const entries: Entry[] = [];
  for (const [i, s] of subjects.entries()) {
    const p = await pair(s, programs[i] as (typeof programs)[number], a, o.threads);
    if (!(p.difference < LIMIT)) throw new Error(`${s.name}: differs from ${peerName} by ${p.difference}`);
    entries.push(await compared(s.name, p.ours, p.peer, peerName, goal(s.name), o));
    await p.close();
  }
  return { entries, dir, artefact: a };
}

/** Networks: the light ones for one image, with their peak memory, and ours for 1 and 16 images. */
export async function networks(light: readonly NamedModel[], o: Options): Promise<Entry[]> {
  const entries: Entry[] = [];
  const seeded = light.find((m) => m.name === "light-seeded/resnet50");
  const large: NamedModel[] = [...(seeded ? [seeded] : []), { name: "vit_s_16", model: ownNetwork("vit_s_16") }];
  const goals: Readonly<Record<number, number>> = { 1: 0.9, 16: 0.95 };
  for (const { name, model } of large)
    for (const batch of [1, 16]) {
      const goal = goals[batch] as number;
      entries.push(...(await measure([onImages(name, model, batch, `, batch ${batch}`)], () => goal, o)).entries);
    }
  for (const { name, model } of light) {
    const subject = onImages(name, model, 1);
    const known = name === seeded?.name;
    const made = await measure([subject], () => null, known ? { ...o, seconds: 0 } : o);
    if (!known) entries.push(...made.entries);
    const [ours, peer] = peakMemory(subject, made.dir, made.artefact, o.threads);
    o.say(`${`${name}, peak memory`.padEnd(40)}${`${ours} MB`.padStart(12)}${`${peer} MB`.padStart(12)}`);
    entries.push({
      ...{ name: `${name}, peak memory`, ours, peer, peer_name: peerName },
      ...{ ratio: peer / ours, goal: null, unit: "MB", spread: null },
    });
  }
  return entries;
}

/** Operators on a million elements, and the geometric mean of their ratios. */
export async function singleOperators(o: Options): Promise<Entry[]> {
  const { entries } = await measure(operators(), () => null, o);
  const mean = geometricMean(entries.map((e) => e.ratio));
  const name = "operators, geometric mean";
  o.say(`${name.padEnd(40)}${"".padEnd(24)}  ratio ${mean.toFixed(2)}`);
  const total = (of: (e: Entry) => number): number => entries.reduce((s, e) => s + of(e), 0);
  const [ours, peer] = [total((e) => e.ours), total((e) => e.peer)];
  return [...entries, { name, ours, peer, peer_name: peerName, ratio: mean, goal: 0.5, unit: "ms", spread: null }];
}

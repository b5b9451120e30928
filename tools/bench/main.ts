// The measurements of npm run bench; tools/bench.mjs has the command line.

import { cpus } from "node:os";
import { alternate, geometricMean } from "./alternate.js";
import { compileAll, loaded, pair, peerName, type Subject } from "./both.js";
import { operators } from "./operators.js";
import { peakMemory } from "./peak_memory.js";
import { type NamedModel, onImages, ownNetwork } from "./subjects.js";

/** One line of the result. A ratio above 1 means that we are better. */
export interface Entry {
  readonly name: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly peer_name: string | null;
  readonly ratio: number | null;
  readonly goal: number | null; // of the ratio; of `ours` if there is no peer
  readonly unit: string;
  readonly spread: number | null; // the distance of the ratio's quartiles, relative to it
}

export interface Options {
  readonly seconds: number; // for each comparison
  readonly threads: number;
  readonly say: (line: string) => void;
  /** Called when a comparison begins; what it returns is called at its end, with our processor seconds. */
  readonly watched: () => (own: number) => void;
}

export const cpuName = (): string => cpus()[0]?.model.trim() ?? "an unknown CPU";

const LIMIT = 1e-4; // the largest difference of networks and operators, relative to the largest output

/** Measures subjects, which are compiled as one artefact, one after another. Throws if results differ. */
async function measure(subjects: readonly Subject[], goal: (name: string) => number | null, o: Options) {
  const { dir, programs, seconds } = await compileAll(subjects);
  const a = loaded(dir, o.threads);
  const entries: Entry[] = [];
  for (const [i, s] of subjects.entries()) {
    const p = await pair(s, programs[i] as (typeof programs)[number], a, o.threads);
    if (!(p.difference < LIMIT)) throw new Error(`${s.name}: differs from ${peerName} by ${p.difference}`);
    const [end, used] = [o.watched(), process.cpuUsage()];
    const t = await alternate(p.ours, p.peer, o.seconds);
    const { user, system } = process.cpuUsage(used);
    end((user + system) / 1e6);
    await p.close();
    const [ours, peer] = [t.ours, t.peer].map((ms) => `${ms.toFixed(2)} ms`.padStart(12)) as [string, string];
    o.say(`${s.name.padEnd(40)}${ours}${peer}  ratio ${t.ratio.toFixed(2)}, quartiles ${percent(t.spread)} apart`);
    entries.push({
      ...{ name: s.name, ours: t.ours, peer: t.peer, peer_name: peerName },
      ...{ ratio: t.ratio, goal: goal(s.name), unit: "ms", spread: t.spread },
    });
  }
  return { entries, dir, artefact: a, seconds };
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

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
  const mean = geometricMean(entries.map((e) => e.ratio as number));
  const name = "operators, geometric mean";
  o.say(`${name.padEnd(40)}${"".padEnd(24)}  ratio ${mean.toFixed(2)}`);
  const total = (of: (e: Entry) => number): number => entries.reduce((s, e) => s + of(e), 0);
  const [ours, peer] = [total((e) => e.ours), total((e) => e.peer as number)];
  return [...entries, { name, ours, peer, peer_name: peerName, ratio: mean, goal: 0.5, unit: "ms", spread: null }];
}

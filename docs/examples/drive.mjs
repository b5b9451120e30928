// Trains the perceptron of mlp.ts from Node: two interleaved spirals. Run it after
//   moproc compile docs/examples/mlp.ts -o out/mlp
// with
//   node docs/examples/drive.mjs out/mlp

import { load } from "moproc/runtime";

const artefact = load(process.argv[2] ?? "out/mlp");
artefact.initState(1);
const step = artefact.programs.find((p) => p.name === "step");
const batch = step.inputs[0].shape[0];

/** A repeatable stream of numbers in [0, 1). */
let state = 42;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

function spirals() {
  const x = new Float32Array(batch * 2);
  const target = new BigInt64Array(batch);
  for (let i = 0; i < batch; i++) {
    const arm = i % 2;
    const r = random();
    const angle = 4 * r + Math.PI * arm + 0.1 * (random() - 0.5);
    x.set([2 * r * Math.cos(angle), 2 * r * Math.sin(angle)], 2 * i);
    target[i] = BigInt(arm);
  }
  return { x, target };
}

let correct = 0;
for (let i = 1; i <= 2000; i++) {
  const out = await artefact.run("step", { ...spirals(), lr: Float32Array.of(0.05) });
  correct += out.correct[0];
  if (i % 500 === 0) {
    console.log(
      `step ${i}  loss ${out.loss[0].toFixed(4)}  correct in the last 500 steps ` +
        `${((100 * correct) / (500 * batch)).toFixed(1)} %`,
    );
    correct = 0;
  }
}
const { logits } = await artefact.run("predict", { x: spirals().x });
console.log(`${logits.length / 2} predictions; weights of the first layer:`, artefact.get("fc1.weight").slice(0, 4));

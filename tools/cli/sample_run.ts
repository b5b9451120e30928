// What the examples of several verbs share: they are one walk through everything on data that the first of them draw,
// and a test runs them as they are printed.

/** The network and the sizes of the run. */
export const sampleModel = "-a resnet10 --width 0.125 --image-size 32 --num-class 10 --moco_queue 512 -b 64";

/** What its training leaves. */
export const trainedCheckpoint = "run/checkpoint_0013.safetensors";

// What the examples of several verbs share. Together they are one run of everything on sample data that the first
// examples make. A test runs them as they are printed.

/** The network and the sizes of the run. */
export const sampleModel = "-a resnet10 --width 0.125 --image-size 32 --num-class 10 --moco_queue 512 -b 64";

/** The last checkpoint of its training. */
export const trainedCheckpoint = "run/checkpoint_0013.safetensors";

// What --recipe auto chooses of the values that are compiled in. The others are chosen by the binary, when it has read
// its lists (runtime/train/recipe.h); docs/recipe.md explains both.

/** The published queue. */
const PUBLISHED_QUEUE = 8192;

/**
 * Keys of a queue that fits the number of training images: at most half of them, in whole batches, and at most the
 * published number. A longer queue has several keys of one image, and the instance loss takes those of the image that a
 * query shows for other images.
 */
export function fittingQueue(images: number, batch: number): number {
  const batches = Math.max(1, Math.floor(images / 2 / batch));
  return Math.min(PUBLISHED_QUEUE, batches * batch);
}

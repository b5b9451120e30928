/** A tensor or launch has more elements than kernels can count; a smaller batch, image or network may fit. */
export class TooLarge extends Error {}

/** The reason why a node is not supported. */
export class Refused extends Error {}

/** A node takes more memory than its model may; the nodes after it are not read. */
export class OutOfMemory extends Refused {}

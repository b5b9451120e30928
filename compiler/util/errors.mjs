/** An error the user can act on: printed without a stack, exit code 2. */
export class SetupError extends Error {}

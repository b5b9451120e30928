// Numbers as C++ text.

/** The shortest C++ literal that has the value of `x` rounded to f32. Throws if that is NaN or infinite. */
export function floatLiteral(x: number): string {
  const f = Math.fround(x);
  if (!Number.isFinite(f)) throw new Error(`internal: ${x} is not an f32 constant`);
  for (let digits = 1; digits <= 9; digits++) {
    const text = f.toPrecision(digits);
    if (Math.fround(Number(text)) === f) return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
  }
  throw new Error(`internal: no literal for ${f}`);
}

// Numbers as C++ text, and the 16-bit formats as numbers.

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

const word = new DataView(new ArrayBuffer(4));
export function bf16(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

export function f16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

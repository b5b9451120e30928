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

/** `x` as the whole number nearest to it; ties go to the even one. */
export const roundEven = (x: number): number => {
  const down = Math.floor(x);
  return x - down > 0.5 || (x - down === 0.5 && down % 2 === 1) ? down + 1 : down;
};

/** The bits of the f16 nearest to `x`; ties go to the even one. */
export function f16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7e00;
  const [sign, size] = [x < 0 || Object.is(x, -0) ? 0x8000 : 0, Math.abs(x)];
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  else if (2 ** (exponent + 1) <= size) exponent++;
  return sign | ((exponent + 14) * 1024 + roundEven(size * 2 ** (10 - exponent))); // a carry raises the exponent
}

/** The bits of the bf16 nearest to `x` as f32; ties go to the even one. */
export function bf16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0;
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Arithmetic in GF(2^8) with the polynomial 0x11d and the generator 2, as RAID 6 has it. Source: H. Peter Anvin, "The mathematics of RAID-6". */

const logs = new Uint8Array(256);
const powers = new Uint8Array(510);
for (let i = 0, value = 1; i < 255; i += 1) {
  powers[i] = value;
  powers[i + 255] = value;
  logs[value] = i;
  value = (value << 1) ^ (value >= 128 ? 0x11d : 0);
}

/** The generator to the power `exponent`, 0…254. */
export function power(exponent: number): number {
  return powers[exponent % 255] as number;
}

/** a·b. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : powers[(logs[a] as number) + (logs[b] as number)] as number;
}

/** 1/a. `a` is not 0. */
export function inverse(a: number): number {
  return powers[255 - (logs[a] as number)] as number;
}

/** target ^= source. */
export function addInto(target: Uint8Array, source: Uint8Array): void {
  let i = 0;
  if ((target.byteOffset | source.byteOffset) % 4 === 0) {
    const words = target.length >>> 2;
    const to = new Uint32Array(target.buffer, target.byteOffset, words);
    const from = new Uint32Array(source.buffer, source.byteOffset, words);
    for (let w = 0; w < words; w += 1) to[w] = (to[w] as number) ^ (from[w] as number);
    i = words * 4;
  }
  for (; i < target.length; i += 1) target[i] = (target[i] as number) ^ (source[i] as number);
}

/** target ^= factor·source. */
export function addMultiple(target: Uint8Array, source: Uint8Array, factor: number): void {
  const products = Uint8Array.from({ length: 256 }, (_, value) => multiply(value, factor));
  for (let i = 0; i < target.length; i += 1) target[i] = (target[i] as number) ^ (products[source[i] as number] as number);
}

/** target = factor·target. */
export function scale(target: Uint8Array, factor: number): void {
  const products = Uint8Array.from({ length: 256 }, (_, value) => multiply(value, factor));
  for (let i = 0; i < target.length; i += 1) target[i] = products[target[i] as number] as number;
}

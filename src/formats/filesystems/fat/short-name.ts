/** Short names: eight and three letters of an OEM code page. Linux's default page is read, 437; a disk does not say which one it was written in. */
import { dirEntryLayout, MARK } from './fat.layout.ts';
import { wtf8 } from '../wtf8.ts';

/** Letters 128 to 255. Source: Unicode consortium, MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT. */
const CODE_PAGE_437 = 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';
const SPACE = 0x20;
/** `DIR_NTRes`: the base or the extension is shown in lower case. */
const LOWER = { base: 0x08, extension: 0x10 } as const;

const upper = new Uint16Array(256);
const lower = new Uint16Array(256);
for (let i = 0; i < 256; i += 1) upper[i] = i < 128 ? i : CODE_PAGE_437.charCodeAt(i - 128);
const known = new Set(upper);
for (let i = 0; i < 256; i += 1) {
  const small = String.fromCharCode(upper[i] as number).toLowerCase();
  lower[i] = small.length === 1 && known.has(small.charCodeAt(0)) ? small.charCodeAt(0) : upper[i] as number;
}

const units = new Uint16Array(12);

/** Copies letters from `from` to the last that is no space; `length` units are in use already. @returns how many are now. */
function copyLetters(view: DataView, [from, to]: readonly [number, number], { length, table }: { readonly length: number; readonly table: Uint16Array }): number {
  let end = length;
  let size = length;
  for (let i = from; i < to; i += 1) {
    const raw = view.getUint8(i);
    if (raw === 0) break;
    const letter = i % 32 === 0 && raw === MARK.e5 ? MARK.deleted : raw;
    units[size] = table[letter] as number;
    size += 1;
    if (letter !== SPACE) end = size;
  }
  return end;
}

/** The short name of the entry at `at`, a multiple of 32, as UTF-8; empty where the base is. */
export function shortName(view: DataView, at: number): Uint8Array {
  const flags = view.getUint8(at + dirEntryLayout.offsets.DIR_NTRes);
  const base = copyLetters(view, [at, at + 8], { length: 0, table: flags & LOWER.base ? lower : upper });
  if (base === 0) return new Uint8Array(0);
  units[base] = 0x2e;
  const end = copyLetters(view, [at + 8, at + 11], { length: base + 1, table: flags & LOWER.extension ? lower : upper });
  return wtf8(units, end > base + 1 ? end : base);
}

/** A label in the code page without its trailing spaces. */
export function labelText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(upper[byte] as number)).join('').replace(/[ \0]+$/, '');
}

/** Footer, dynamic header and parent locators of a VHD file, checked. Source: "Virtual Hard Disk Image Format Specification", version 1.0. */
import { type BlockSource, checkLimit, equalBytes, FormatError, type Limits, readRange, UnsupportedError, utf8 } from '../../../core/index.ts';
import { uuidText } from '../../mapping/guid.ts';
import type { ParentFacts } from '../image.ts';
import { COOKIE, DISK_TYPE, DYNAMIC_BYTES, dynamicLayout, footerLayout, LOCATORS, locatorLayout } from './vhd.layout.ts';

/** What the footer says. */
export interface VhdFooter {
  readonly variant: keyof typeof DISK_TYPE;
  readonly size: number;
  readonly identity: string;
  readonly creator: string;
  readonly headerOffset: number;
  readonly remarks: readonly string[];
}

/** What the header of a dynamic or differencing disk says. */
export interface VhdHeader {
  readonly tableOffset: number;
  readonly blockBytes: number;
  readonly parent: ParentFacts | undefined;
}

const SECTOR = 512;
/** Geometry that stands for "too large to tell". */
const CHS_MAX = 65_535 * 16 * 255;

function fault(structure: string, field: string, offset: number, details: { readonly found?: string | number; readonly expected: string }): FormatError {
  return new FormatError('Read VHD header', { structure, field, offset, ...details });
}

/** The specification's checksum: the complement of the sum of all bytes, those of the checksum itself not counted. */
export function vhdChecksum(bytes: Uint8Array, checksumAt: number): number {
  let sum = 0;
  for (const [i, byte] of bytes.entries()) if (i < checksumAt || i >= checksumAt + 4) sum += byte;
  return ~sum >>> 0;
}

type FooterView = ReturnType<typeof footerLayout.view>;

interface FooterCopy {
  readonly view: FooterView;
  readonly sound: boolean;
}

/** The footer at `at`, if there is anything like one. */
async function footerAt(file: BlockSource, at: number): Promise<FooterCopy | undefined> {
  if (at < 0 || at + footerLayout.size > file.size) return undefined;
  const bytes = await readRange(file, at, footerLayout.size);
  const view = footerLayout.view(bytes, 0, at);
  if (!equalBytes(view.Cookie, utf8(COOKIE.footer))) return undefined;
  return { view, sound: vhdChecksum(bytes, footerLayout.offsets.Checksum) === view.Checksum };
}

interface Chosen {
  readonly view: FooterView;
  readonly atEnd: boolean;
  readonly remarks: readonly string[];
}

/** The footer at the end, or its copy at the start. */
async function chooseFooter(file: BlockSource): Promise<Chosen> {
  const end = file.size - footerLayout.size;
  const last = await footerAt(file, end);
  if (last?.sound === true) return { view: last.view, atEnd: true, remarks: [] };
  const first = await footerAt(file, 0);
  if (first?.sound === true) return { view: first.view, atEnd: false, remarks: ['the footer at its end is not sound: the copy at its start was used'] };
  throw fault(footerLayout.name, 'Checksum', end, { expected: 'a footer whose checksum holds, at the end or at the start' });
}

/**
 * Virtual PC shows a disk as large as its geometry says, everything else as large as the footer says; QEMU's older images follow
 * Virtual PC.
 */
function sizeOf(view: FooterView): number {
  const creator = Buffer.from(view.CreatorApplication).toString('latin1');
  const sectors = view.Cylinders * view.Heads * view.SectorsPerTrack;
  const byGeometry = (creator === 'vpc ' || creator === 'qemu') && sectors > 0 && sectors < CHS_MAX;
  return byGeometry ? Math.min(sectors * SECTOR, view.CurrentSize) : view.CurrentSize;
}

/** Whether the file looks like a VHD at one of its ends. */
export async function hasVhdCookie(file: BlockSource): Promise<boolean> {
  if (file.size < footerLayout.size) return false;
  return await footerAt(file, 0) !== undefined || await footerAt(file, file.size - footerLayout.size) !== undefined;
}

/** Reads the footer at the end, or its copy at the start. @throws {FormatError} @throws {UnsupportedError} */
export async function readFooter(file: BlockSource): Promise<VhdFooter> {
  const end = file.size - footerLayout.size;
  const { view: first, atEnd, remarks } = await chooseFooter(file);
  if (first.FileFormatVersion >>> 16 !== 1) throw new UnsupportedError(`Open VHD image: version '${first.FileFormatVersion >>> 16}', expected 1`);
  const variant = (Object.keys(DISK_TYPE) as (keyof typeof DISK_TYPE)[]).find((name) => DISK_TYPE[name] === first.DiskType);
  if (variant === undefined) throw fault(footerLayout.name, 'DiskType', end, { found: first.DiskType, expected: '2, 3 or 4' });
  const size = sizeOf(first);
  if (size % SECTOR !== 0) throw fault(footerLayout.name, 'CurrentSize', end, { found: size, expected: 'whole sectors of 512 bytes' });
  if (variant === 'fixed' && (!atEnd || size > end)) throw fault(footerLayout.name, 'CurrentSize', end, { found: size, expected: `at most ${end}: what is before the footer` });
  const offset = Buffer.from(first.DataOffset).readBigUInt64BE(0);
  if (variant !== 'fixed' && offset > BigInt(Math.max(0, file.size - DYNAMIC_BYTES))) throw fault(footerLayout.name, 'DataOffset', end, { found: String(offset), expected: 'inside the file' });
  return {
    variant, size, identity: uuidText(first.UniqueId), creator: Buffer.from(first.CreatorApplication).toString('latin1').trim(), headerOffset: Number(offset),
    remarks,
  };
}

const encodings: Readonly<Record<string, (bytes: Buffer) => string>> = {
  W2ru: (bytes) => bytes.toString('utf16le'),
  W2ku: (bytes) => bytes.toString('utf16le'),
  MacX: (bytes) => bytes.toString('utf8'),
};

/** Names from the locators, relative ones first, then the one in the header. */
async function readParentNames(file: BlockSource, head: Uint8Array, limits: Limits): Promise<readonly string[]> {
  const names = new Map<string, string>();
  for (let i = 0; i < LOCATORS; i += 1) {
    const { PlatformCode, PlatformDataLength: length, PlatformDataOffset: at } = locatorLayout.view(head, dynamicLayout.size + i * locatorLayout.size);
    const code = Buffer.from(PlatformCode).toString('latin1');
    const decode = Object.hasOwn(encodings, code) ? encodings[code] : undefined;
    if (decode === undefined || length === 0) continue;
    checkLimit(limits, 'imageTextBytesMax', length, 'VHD parent locator');
    if (at + length > file.size) throw fault(locatorLayout.name, 'PlatformDataOffset', at, { found: at, expected: `${length} bytes before the end '${file.size}' of the file` });
    names.set(code, decode(Buffer.from(await readRange(file, at, length))).replace(/\0+$/, ''));
  }
  const inHeader = Buffer.from(dynamicLayout.view(head).ParentUnicodeName).swap16().toString('utf16le').replace(/\0.*$/s, '');
  return [...new Set([names.get('W2ru'), inHeader, names.get('W2ku'), names.get('MacX')])].filter((name): name is string => name !== undefined && name !== '');
}

/** Reads the header of a dynamic or differencing disk. @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
export async function readVhdHeader(file: BlockSource, footer: VhdFooter, limits: Limits): Promise<VhdHeader> {
  const at = footer.headerOffset;
  const bytes = await readRange(file, at, DYNAMIC_BYTES);
  const view = dynamicLayout.view(bytes, 0, at);
  if (!equalBytes(view.Cookie, utf8(COOKIE.dynamic))) throw fault(dynamicLayout.name, 'Cookie', at, { found: Buffer.from(view.Cookie).toString('latin1'), expected: COOKIE.dynamic });
  if (vhdChecksum(bytes, dynamicLayout.offsets.Checksum) !== view.Checksum) throw fault(dynamicLayout.name, 'Checksum', at, { found: view.Checksum, expected: 'that of the header' });
  const { BlockSize: blockBytes, TableOffset: tableOffset, MaxTableEntries: entries } = view;
  if (blockBytes < SECTOR || blockBytes > 256 << 20 || Math.log2(blockBytes) % 1 !== 0) throw fault(dynamicLayout.name, 'BlockSize', at, { found: blockBytes, expected: 'a power of two from 512 to 256 MiB' });
  if (entries * blockBytes < footer.size) throw fault(dynamicLayout.name, 'MaxTableEntries', at, { found: entries, expected: `at least ${Math.ceil(footer.size / blockBytes)}` });
  const needed = Math.ceil(footer.size / blockBytes) * 4;
  if (tableOffset < DYNAMIC_BYTES || tableOffset + needed > file.size) throw fault(dynamicLayout.name, 'TableOffset', at, { found: tableOffset, expected: `${needed} bytes before the end '${file.size}' of the file` });
  if (footer.variant !== 'differencing') return { tableOffset, blockBytes, parent: undefined };
  return { tableOffset, blockBytes, parent: { names: await readParentNames(file, bytes, limits), identity: uuidText(view.ParentUniqueId) } };
}

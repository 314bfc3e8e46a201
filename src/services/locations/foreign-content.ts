/**
 * What is on a disk or volume and has no reader here: it is said by name, so that nobody takes the disk for empty. Asked only where no table and no
 * filesystem that is read was found. Sources: Linux' `magic.h` and `fs/`'s superblocks; swap(5)'s `struct swap_header`; ECMA-167 2/9 (UDF); ISO 9660 8.4;
 * Apple's File System Reference (APFS) and TN1150 (HFS Plus); FreeBSD's `fs.h` and `disklabel.h`; util-linux' tables of Sun, SGI and Apple; the OEM name of BitLocker.
 */
import { readRange, textOf, type BlockSource } from '../../core/index.ts';

/** What was recognised. JSON-safe; the label is the guest's. */
export interface ForeignContent {
  readonly holds: string;
  readonly label?: string;
  /** Encrypted: nothing opens it. */
  readonly locked?: true;
}

interface Mark {
  readonly holds: string;
  /** Bytes from the start of the disk. */
  readonly at: number;
  readonly magic: Buffer;
}

/** All marks lie in so many bytes. */
const HEAD_BYTES = 1 << 17;

const VOLUME_DESCRIPTORS = 32_768;
const DESCRIPTOR_BYTES = 2048;
/** Descriptors in which UDF is looked for. */
const DESCRIPTORS = 8;
const SWAP_PAGES = [4096, 8192, 16_384, 65_536] as const;
const LINUX_SUPERBLOCK = 1024;

function text(holds: string, at: number, magic: string): Mark {
  return { holds, at, magic: Buffer.from(magic, 'latin1') };
}

function hex(holds: string, at: number, magic: string): Mark {
  return { holds, at, magic: Buffer.from(magic, 'hex') };
}

/** The first that is there counts: UDF before the ISO 9660 that may lie beside it. */
const marks: readonly Mark[] = [
  text('BitLocker', 3, '-FVE-FS-'),
  ...SWAP_PAGES.flatMap((bytes) => ['SWAPSPACE2', 'S1SUSPEND\0'].map((magic) => text('swap', bytes - magic.length, magic))),
  ...Array.from({ length: DESCRIPTORS }, (_, i) => text('UDF', VOLUME_DESCRIPTORS + i * DESCRIPTOR_BYTES + 1, 'NSR0')), text('ISO 9660', VOLUME_DESCRIPTORS + 1, 'CD001'),
  text('SquashFS', 0, 'hsqs'), text('cramfs', 0, 'E=\u00cd('), text('romfs', 0, '-rom1fs-'), text('APFS', 32, 'NXSB'), hex('HFS Plus', LINUX_SUPERBLOCK, '482b0004'), hex('HFSX', LINUX_SUPERBLOCK, '48580005'),
  hex('F2FS', LINUX_SUPERBLOCK, '1020f5f2'), hex('EROFS', LINUX_SUPERBLOCK, 'e2e1f5e0'), hex('NILFS2', LINUX_SUPERBLOCK, '0200000000003434'), text('JFS', 32_768, 'JFS1'),
  ...[8192, 65_536].flatMap((at) => ['ReIsErFs', 'ReIsEr2Fs', 'ReIsEr3Fs'].map((magic) => text('ReiserFS', at + 52, magic))), text('Reiser4', 65_536, 'ReIsEr4'),
  hex('UFS1', 8192 + 1372, '54190100'), hex('UFS2', 65_536 + 1372, '19015419'), hex('GFS2', 65_536, '0116197000000001'), ...[1024, 2048, 4096, 8192].map((at) => text('OCFS2', at, 'OCFSV2')),
  hex('bcachefs', 4096 + 24, 'c68573f666ce90a9d96a60cf803df7ef'), hex('bcache', 4096 + 24, 'c68573f64e1a45ca8265f57f48ba6d81'), text('VDO', 0, 'dmvdo001'), text('dm-integrity', 0, 'integrt\0'), text('BlueStore', 0, 'bluestore block device'),
  hex('a Sun disk label', 188, '600ddeee'), hex('an SGI disk label', 0, '0be5a941'), text('an Apple partition map', 512, 'PM\0\0'), ...[64, 512].map((at) => hex('a BSD disk label', at, '57455682')), text('an Amiga disk label', 0, 'RDSK'),
];

const names: ReadonlySet<string> = new Set(marks.map(({ holds }) => holds));

/** Whether `holds` is what {@link foreignContent} says of something. */
export function isForeign(holds: string): boolean {
  return names.has(holds);
}

/** Looks for the marks of what is not read; undefined where there is none. Reads 128 KiB at most, and never throws for bad content. */
export async function foreignContent(source: BlockSource): Promise<ForeignContent | undefined> {
  const head = Buffer.from(await readRange(source, 0, Math.min(HEAD_BYTES, source.size)));
  const holds = marks.find(({ at, magic }) => head.subarray(at, at + magic.length).equals(magic))?.holds;
  if (holds === 'BitLocker') return { holds, locked: true };
  if (holds !== 'swap') return holds === undefined ? undefined : { holds };
  const label = textOf(head.subarray(1052, 1068)).replace(/\0.*$/s, '');
  return { holds, ...(label === '' ? {} : { label }) };
}

/** The descriptor of a VMDK: text that names the extents and the parent. Source: VMware, "Virtual Disk Format 5.0", "The Descriptor File". */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';

/** One extent, in the order of the disk. */
export interface ExtentLine {
  readonly access: string;
  readonly bytes: number;
  /** `FLAT`, `SPARSE`, `ZERO`, `VMFS`, `VMFSSPARSE`, `SESPARSE` … */
  readonly type: string;
  /** Empty for `ZERO`. */
  readonly file: string;
  /** Bytes; where a flat extent begins in its file. */
  readonly offset: number;
}

/** What the text says. */
export interface Descriptor {
  readonly cid: string;
  readonly parentCid: string | undefined;
  readonly createType: string;
  readonly parentName: string | undefined;
  readonly extents: readonly ExtentLine[];
}

const NO_PARENT = 'ffffffff';
const SECTOR = 512;

function fault(field: string, found: string, expected: string): FormatError {
  return new FormatError('Read VMDK descriptor', { structure: 'VMDK descriptor', field, found, expected });
}

function parseExtent(line: string): ExtentLine {
  const match = /^(RW|RDONLY|NOACCESS)\s+(\d{1,16})\s+([A-Z0-9]+)(?:\s+"([^"]*)")?(?:\s+(\d{1,16}))?/i.exec(line);
  if (match === null) throw fault('extent', line.slice(0, 80), 'access, sectors, type, "file" and offset');
  const bytes = Number(match[2]) * SECTOR;
  const offset = Number(match[5] ?? 0) * SECTOR;
  if (!Number.isSafeInteger(bytes) || !Number.isSafeInteger(offset)) throw fault('extent', line.slice(0, 80), 'fewer sectors');
  return { access: (match[1] ?? '').toUpperCase(), bytes, type: (match[3] ?? '').toUpperCase(), file: match[4] ?? '', offset };
}

/** Parses a descriptor; what is behind a zero byte is padding. @throws {FormatError} @throws {LimitError} too many extents. */
export function parseDescriptor(bytes: Uint8Array, limits: Limits): Descriptor {
  const end = bytes.indexOf(0);
  const text = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
  const values = new Map<string, string>();
  const extents: ExtentLine[] = [];
  for (const raw of text.split(/\r?\n|\r/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (/^(RW|RDONLY|NOACCESS)\s/i.test(line)) {
      extents.push(parseExtent(line));
      checkLimit(limits, 'imageExtentsMax', extents.length, 'VMDK descriptor');
      continue;
    }
    const match = /^([\w.]+)\s*=\s*(.*)$/.exec(line);
    if (match !== null) values.set((match[1] ?? '').toLowerCase(), (match[2] ?? '').replace(/^"(.*)"$/, '$1'));
  }
  const cid = values.get('cid')?.toLowerCase();
  const createType = values.get('createtype');
  if (cid === undefined || !/^[0-9a-f]{1,8}$/.test(cid)) throw fault('CID', cid ?? 'none', 'eight hexadecimal digits');
  if (createType === undefined) throw fault('createType', 'none', 'the kind of disk');
  if (extents.length === 0) throw fault('extent', 'none', 'at least one: without it the text was cut'); // it would read as a disk of no bytes
  const parentCid = values.get('parentcid')?.toLowerCase();
  return {
    cid: cid.padStart(8, '0'), createType, extents,
    parentCid: parentCid === undefined || parentCid === NO_PARENT ? undefined : parentCid.padStart(8, '0'), parentName: values.get('parentfilenamehint'),
  };
}

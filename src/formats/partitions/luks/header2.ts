/** The two headers of LUKS version 2: the newer one whose checksum holds counts. */
import { createHash, getHashes } from 'node:crypto';
import { type BlockSource, checkLimit, equalBytes, FormatError, HoldfastError, IntegrityError, type Limits, UnsupportedError } from '../../../core/index.ts';
import { hasMagic, readStructure, textUntilNul } from '../parts.ts';
import type { LuksDigest, LuksHeader, LuksKdf, LuksSlot } from './header.ts';
import { LUKS2_BINARY_BYTES, luks2Layout, luks2Sizes, LUKS_MAGIC, LUKS_MAGIC_SECOND } from './luks.layout.ts';

type Json = Readonly<Record<string, unknown>>;

function fault(field: string, found: unknown, expected: string): FormatError {
  return new FormatError('Read LUKS2 metadata', { structure: 'LUKS2 JSON', field, found: String(found).slice(0, 80), expected });
}

/** Members of a JSON object with their kind checked. */
const json = {
  object(parent: Json, key: string): Json {
    const value = parent[key];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault(key, value, 'an object');
    return value as Json;
  },
  text(parent: Json, key: string): string {
    const value = parent[key];
    if (typeof value !== 'string') throw fault(key, value, 'a text');
    return value;
  },
  number(parent: Json, key: string): number {
    const value = parent[key];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw fault(key, value, 'a number from 0 to 2^53-1');
    return value;
  },
  /** 64-bit numbers are texts in LUKS2. */
  wide(parent: Json, key: string): number {
    const text = json.text(parent, key);
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw fault(key, text, 'a number from 0 to 2^53-1');
    return value;
  },
  bytes(parent: Json, key: string): Uint8Array {
    return new Uint8Array(Buffer.from(json.text(parent, key), 'base64'));
  },
  texts(parent: Json, key: string): readonly string[] {
    const value = parent[key];
    if (!Array.isArray(value)) throw fault(key, value, 'a list');
    return value.map(String);
  },
};

function kdfOf(kdf: Json): LuksKdf {
  const type = json.text(kdf, 'type');
  const salt = json.bytes(kdf, 'salt');
  if (type === 'pbkdf2') return { type, hash: json.text(kdf, 'hash'), iterations: json.number(kdf, 'iterations'), salt };
  if (type === 'argon2i' || type === 'argon2id') return { type, time: json.number(kdf, 'time'), memoryKib: json.number(kdf, 'memory'), cpus: json.number(kdf, 'cpus'), salt };
  throw new UnsupportedError(`Open LUKS2: key derivation '${type}' is not known`);
}

function slotOf(id: string, slot: Json): LuksSlot {
  const af = json.object(slot, 'af');
  const area = json.object(slot, 'area');
  return {
    id, keyBytes: json.number(slot, 'key_size'), kdf: kdfOf(json.object(slot, 'kdf')), stripes: json.number(af, 'stripes'), stripeHash: json.text(af, 'hash'),
    area: { offset: json.wide(area, 'offset'), encryption: json.text(area, 'encryption'), keyBytes: json.number(area, 'key_size') },
  };
}

function segmentOf(segments: Json): { readonly id: string; readonly segment: LuksHeader['segment'] } {
  const names = Object.keys(segments);
  const [id = ''] = names;
  if (names.length !== 1) throw new UnsupportedError(`Open LUKS2: it has '${names.length}' segments, as during a reencryption`);
  const segment = json.object(segments, id);
  const type = json.text(segment, 'type');
  if (type !== 'crypt') throw new UnsupportedError(`Open LUKS2: segments of type '${type}' are not read`);
  if (segment['integrity'] !== undefined) throw new UnsupportedError('Open LUKS2: volumes with integrity protection are not read');
  const size = json.text(segment, 'size');
  const sectorBytes = json.number(segment, 'sector_size');
  if (![512, 1024, 2048, 4096].includes(sectorBytes)) throw fault('sector_size', sectorBytes, '512, 1024, 2048 or 4096');
  return {
    id,
    segment: {
      offset: json.wide(segment, 'offset'), ivTweak: json.wide(segment, 'iv_tweak'), encryption: json.text(segment, 'encryption'), sectorBytes,
      ...(size === 'dynamic' ? {} : { length: json.wide(segment, 'size') }),
    },
  };
}

function digestOf(digests: Json, segment: string): LuksDigest {
  for (const key of Object.keys(digests)) {
    const one = json.object(digests, key);
    if (!json.texts(one, 'segments').includes(segment)) continue;
    if (json.text(one, 'type') !== 'pbkdf2') throw new UnsupportedError(`Open LUKS2: digests of type '${json.text(one, 'type')}' are not known`);
    return { hash: json.text(one, 'hash'), iterations: json.number(one, 'iterations'), salt: json.bytes(one, 'salt'), digest: json.bytes(one, 'digest'), slots: json.texts(one, 'keyslots') };
  }
  throw fault('digests', 'none', `one for segment ${segment}`);
}

function parse(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch (error) {
    throw new FormatError('Read LUKS2 metadata', { structure: 'LUKS2 JSON', field: 'syntax', expected: 'valid JSON' }, error);
  }
  throw fault('root', text.slice(0, 20), 'an object');
}

function headerOf(copy: Copy, limits: Limits, remarks: readonly string[]): LuksHeader {
  const root = parse(copy.text);
  const config = json.object(root, 'config');
  const requirements = config['requirements'];
  if (requirements !== undefined) {
    const mandatory = json.texts(json.object(config, 'requirements'), 'mandatory');
    if (mandatory.length > 0) throw new UnsupportedError(`Open LUKS2: it requires '${mandatory.join(', ')}'`, { requirements: mandatory.join(' ') });
  }
  const { id, segment } = segmentOf(json.object(root, 'segments'));
  const digest = digestOf(json.object(root, 'digests'), id);
  const slots = json.object(root, 'keyslots');
  checkLimit(limits, 'keySlotsMax', Object.keys(slots).length, 'LUKS2 keyslots');
  const usable = Object.keys(slots).filter((name) => digest.slots.includes(name) && json.text(json.object(slots, name), 'type') === 'luks2');
  return {
    version: 2, uuid: copy.uuid, ...(copy.label === '' ? {} : { label: copy.label }), slots: usable.map((name) => slotOf(name, json.object(slots, name))), digest, segment, remarks,
  };
}

/** One copy of the header whose checksum held. */
interface Copy {
  readonly seqid: number;
  readonly uuid: string;
  readonly label: string;
  readonly text: string;
}

async function readCopy(disk: BlockSource, at: number, magic: string): Promise<Copy> {
  const head = luks2Layout.view(await readStructure(disk, at, luks2Layout.size, luks2Layout.name), 0, at);
  const wrong = (field: keyof typeof luks2Layout.offsets, found: string | number, expected: string): FormatError =>
    new FormatError('Read LUKS2 header', { structure: luks2Layout.name, field, offset: at + luks2Layout.offsets[field], found, expected });
  if (Buffer.from(head.magic).toString('latin1') !== magic) throw wrong('magic', Buffer.from(head.magic).toString('hex'), Buffer.from(magic, 'latin1').toString('hex'));
  if (head.version !== 2) throw wrong('version', head.version, '2');
  if (!luks2Sizes.includes(head.hdr_size)) throw wrong('hdr_size', head.hdr_size, `one of ${luks2Sizes.join(', ')}`);
  if (head.hdr_offset !== at) throw wrong('hdr_offset', head.hdr_offset, String(at));
  const algorithm = textUntilNul(head.csum_alg);
  if (!getHashes().includes(algorithm)) throw new UnsupportedError(`Open LUKS2: checksum '${algorithm}' is not known`);
  const bytes = await readStructure(disk, at, head.hdr_size, luks2Layout.name);
  const expected = head.csum.slice();
  bytes.fill(0, luks2Layout.offsets.csum, luks2Layout.offsets.csum + expected.length);
  const sum = createHash(algorithm).update(bytes).digest();
  if (!equalBytes(sum, expected.subarray(0, sum.length))) throw new IntegrityError(`Read LUKS2 header at offset ${at}: its checksum does not hold`, { structure: luks2Layout.name, field: 'csum', offset: at });
  return { seqid: head.seqid, uuid: textUntilNul(head.uuid), label: textUntilNul(head.label), text: textUntilNul(bytes.subarray(LUKS2_BINARY_BYTES)) };
}


/** Reads the newer of the two headers. @throws {FormatError} @throws {IntegrityError} neither holds. @throws {UnsupportedError} */
export async function readLuks2(disk: BlockSource, limits: Limits): Promise<LuksHeader> {
  const found: Copy[] = [];
  let failure: unknown;
  const attempt = async (at: number, magic: string): Promise<void> => {
    try {
      found.push(await readCopy(disk, at, magic));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure ??= error;
    }
  };
  await attempt(0, LUKS_MAGIC);
  for (const size of luks2Sizes) if (await hasMagic(disk, size, LUKS_MAGIC_SECOND)) await attempt(size, LUKS_MAGIC_SECOND);
  const [best] = [...found].sort((a, b) => b.seqid - a.seqid);
  if (best === undefined) throw failure;
  return headerOf(best, limits, failure === undefined ? [] : [`one of its two headers is damaged: ${(failure as Error).message}`]);
}

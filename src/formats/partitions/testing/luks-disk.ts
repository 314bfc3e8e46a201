/** A LUKS1 container around given bytes, for tests of what lies in containers; those of cryptsetup are in `testdata/`. */
import { createCipheriv, pbkdf2Sync } from 'node:crypto';
import { luks1Layout, LUKS_MAGIC, slot1Layout, SLOT_ACTIVE } from '../luks/luks.layout.ts';

const SECTOR = 512;
const PAYLOAD_SECTORS = 8;
const SLOT_SECTOR = 4;
const SALT = Buffer.alloc(32, 0x5a);

/** The volume key, which opens the container; any other key does not. */
export const luksKey: Uint8Array = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7 + 1));

function encrypted(content: Uint8Array): Buffer {
  const place = Buffer.alloc(16);
  return Buffer.concat(Array.from({ length: Math.ceil(content.length / SECTOR) }, (_, i) => {
    place.writeUInt32LE(i);
    const sector = Buffer.alloc(SECTOR);
    sector.set(content.subarray(i * SECTOR, (i + 1) * SECTOR));
    return createCipheriv('aes-128-xts', luksKey, place).update(sector);
  }));
}

/** The container. Its one key slot opens with nothing: give {@link luksKey}. */
export function luksDisk(content: Uint8Array): Uint8Array {
  const head = Buffer.alloc(PAYLOAD_SECTORS * SECTOR);
  const { offsets } = luks1Layout;
  head.write(LUKS_MAGIC, 0, 'latin1');
  head.writeUInt16BE(1, offsets.version);
  for (const [field, text] of [['cipher-name', 'aes'], ['cipher-mode', 'xts-plain64'], ['hash-spec', 'sha256'], ['uuid', '00000000-1111-2222-3333-444444444444']] as const) head.write(text, offsets[field]);
  head.writeUInt32BE(PAYLOAD_SECTORS, offsets['payload-offset']);
  head.writeUInt32BE(luksKey.length, offsets['key-bytes']);
  head.set(pbkdf2Sync(luksKey, SALT, 1, 20, 'sha256'), offsets['mk-digest']);
  head.set(SALT, offsets['mk-digest-salt']);
  head.writeUInt32BE(1, offsets['mk-digest-iter']);
  const slot = slot1Layout.offsets;
  for (const [field, value] of [['active', SLOT_ACTIVE], ['iterations', 1], ['key-material-offset', SLOT_SECTOR], ['stripes', 1]] as const) head.writeUInt32BE(value, luks1Layout.size + slot[field]);
  return Buffer.concat([head, encrypted(content)]);
}

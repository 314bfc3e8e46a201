/** The header of LUKS version 1. */
import { type BlockSource, FormatError } from '../../../core/index.ts';
import { readStructure, textUntilNul } from '../parts.ts';
import type { LuksHeader, LuksSlot } from './header.ts';
import { luks1Layout, SLOT_ACTIVE, slot1Layout } from './luks.layout.ts';

const SLOTS = 8;
const SECTOR = 512;

/** Reads the header. @throws {FormatError} */
export async function readLuks1(disk: BlockSource): Promise<LuksHeader> {
  const bytes = await readStructure(disk, 0, luks1Layout.size + SLOTS * slot1Layout.size, luks1Layout.name);
  const view = luks1Layout.view(bytes);
  const encryption = `${textUntilNul(view['cipher-name'])}-${textUntilNul(view['cipher-mode'])}`;
  const hash = textUntilNul(view['hash-spec']);
  const keyBytes = view['key-bytes'];
  if (keyBytes === 0 || keyBytes > 512) throw new FormatError('Read LUKS header', { structure: luks1Layout.name, field: 'key-bytes', offset: luks1Layout.offsets['key-bytes'], found: keyBytes, expected: '1 to 512' });
  const slots: LuksSlot[] = [];
  for (let i = 0; i < SLOTS; i += 1) {
    const slot = slot1Layout.view(bytes, luks1Layout.size + i * slot1Layout.size, luks1Layout.size + i * slot1Layout.size);
    if (slot.active !== SLOT_ACTIVE) continue;
    slots.push({
      id: String(i), keyBytes, kdf: { type: 'pbkdf2', hash, iterations: slot.iterations, salt: slot.salt }, stripes: slot.stripes, stripeHash: hash,
      area: { offset: slot['key-material-offset'] * SECTOR, encryption, keyBytes },
    });
  }
  return {
    version: 1, uuid: textUntilNul(view.uuid), slots,
    digest: { hash, iterations: view['mk-digest-iter'], salt: view['mk-digest-salt'], digest: view['mk-digest'], slots: slots.map(({ id }) => id) },
    segment: { offset: view['payload-offset'] * SECTOR, ivTweak: 0, encryption, sectorBytes: SECTOR }, remarks: [],
  };
}

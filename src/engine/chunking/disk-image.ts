/**
 * Recognises disk images by their first bytes, so that they are cut in aligned blocks: a guest changes sectors in place, and
 * content-defined cuts gain nothing there. Being wrong costs a little deduplication, never correctness.
 *
 * Source: magic numbers as in `docs/decisions.md`, each from its format's public specification.
 */

/** Bytes from the start of a file that {@link isDiskImage} wants to see. */
export const DISK_IMAGE_HEAD_BYTES = 66_000;

const magics: readonly { readonly offset: number; readonly text: string }[] = [
  { offset: 0, text: 'QFI\xfb' }, // qcow2
  { offset: 0, text: 'vhdxfile' },
  { offset: 0, text: 'conectix' }, // dynamic VHD
  { offset: 0, text: 'KDMV' }, // VMDK sparse extent
  { offset: 0, text: 'COWD' }, // VMDK of ESX 2
  { offset: 0x40, text: '\x7f\x10\xda\xbe' }, // VDI
  { offset: 512, text: 'EFI PART' }, // GPT, 512-byte sectors
  { offset: 4096, text: 'EFI PART' }, // GPT, 4K sectors
  { offset: 3, text: 'NTFS    ' },
  { offset: 3, text: 'EXFAT   ' },
  { offset: 0x438, text: '\x53\xef' }, // ext2, ext3, ext4
  { offset: 0, text: 'XFSB' },
  { offset: 0x10040, text: '_BHRfS_M' }, // btrfs
];

function hasText(head: Uint8Array, offset: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (head[offset + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** A boot sector with a partition table whose entries are plausible. */
function isMbr(head: Uint8Array): boolean {
  if (!hasText(head, 510, '\x55\xaa')) return false;
  let used = 0;
  for (let entry = 446; entry < 510; entry += 16) {
    const status = head[entry] as number;
    if (status !== 0 && status !== 0x80) return false;
    if (head[entry + 4] !== 0) used += 1;
  }
  return used > 0;
}

/** Whether a file that begins with `head` holds a disk or a filesystem. */
export function isDiskImage(head: Uint8Array): boolean {
  if (head.length < 4096) return false;
  return magics.some((magic) => hasText(head, magic.offset, magic.text)) || isMbr(head);
}

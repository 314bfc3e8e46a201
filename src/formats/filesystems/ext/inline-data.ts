/**
 * Files and directories whose content is in their inode.
 * Source: Linux, Documentation/filesystems/ext4 (inlinedata).
 */
import { I_BLOCK_BYTES } from './inode.layout.ts';
import type { Inode } from './inode.ts';
import { inlineRest } from './xattr.ts';

/** The parts of a directory's entries: behind the parent's number in `i_block`, and in the attribute. */
export function inlineDirectory(inode: Inode): readonly Uint8Array[] {
  return [inode.block.slice(4), inlineRest(inode).slice()];
}

/** A file's content. @throws {FormatError} when the inode says that it is longer than it can be. */
export function inlineFile(inode: Inode): Uint8Array {
  const room = inode.bytes.length;
  if (inode.size > room) throw inode.fault('i_size_lo', inode.size, `at most ${room}: content in the inode`);
  const content = new Uint8Array(inode.size);
  content.set(inode.block.subarray(0, Math.min(inode.size, I_BLOCK_BYTES)));
  if (inode.size > I_BLOCK_BYTES) content.set(inlineRest(inode).subarray(0, inode.size - I_BLOCK_BYTES), I_BLOCK_BYTES);
  return content;
}

/** What an entry is: by its mode where the mode says so, else by Bacula's file type. */
import type { NodeType } from '../../core/index.ts';
import { FILE_TYPE } from './attributes.ts';

/**
 * Type of an entry. A FIFO or raw device whose content was read (`readfifo=yes`, a device named in the FileSet) is a file that
 * holds those bytes.
 */
export function nodeType(fileType: number, mode: number, stream: number): NodeType {
  if ((fileType === FILE_TYPE.RAW || fileType === FILE_TYPE.FIFO) && stream !== 0) return 'file';
  if (fileType === FILE_TYPE.DIREND) return 'directory';
  switch (mode & 0o170000) {
    case 0o040000: return 'directory';
    case 0o120000: return 'symlink';
    case 0o010000: return 'fifo';
    case 0o020000: return 'character';
    case 0o060000: return 'block';
    case 0o140000: return 'socket';
    case 0o100000: return 'file';
    default: break;
  }
  if (fileType === FILE_TYPE.LNK) return 'symlink';
  return fileType === FILE_TYPE.DIRNOCHG || fileType === FILE_TYPE.DIRBEGIN || fileType === FILE_TYPE.REPARSE || fileType === FILE_TYPE.JUNCTION ? 'directory' : 'file';
}

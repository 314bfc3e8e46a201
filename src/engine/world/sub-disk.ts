/** A directory of a disk as a disk of its own. */
import type { Disk } from '../../core/index.ts';

/** All paths of the result are below `directory`, which is made when something is created there. */
export function subDisk(disk: Disk, directory: string): Disk {
  const at = (path: string): string => (path === '' ? directory : `${directory}/${path}`);
  return {
    open: (path, mode) => disk.open(at(path), mode),
    create: (path) => disk.create(at(path)),
    rename: (from, to) => disk.rename(at(from), at(to)),
    link: (from, to) => disk.link(at(from), at(to)),
    remove: (path) => disk.remove(at(path)),
    removeTree: (path) => disk.removeTree(at(path)),
    makeDirectory: (path) => disk.makeDirectory(at(path)),
    list: (path) => disk.list(at(path)),
    exists: (path) => disk.exists(at(path)),
    syncDirectory: (path) => disk.syncDirectory(at(path)),
    nativePath: (path) => disk.nativePath(at(path)),
    lock: (path, description) => disk.lock(at(path), description),
  };
}

/** What can be told of a session's files only when all of them are known. */
import { FILE_TYPE } from './attributes.ts';
import { Column } from './column.ts';
import type { FileTable } from './file-table.ts';
import { nodeType } from './node-type.ts';
import type { DamagePlace, VolumeProblemKind } from './problem.ts';

/** A finding about one row. */
export interface RowFinding {
  readonly kind: VolumeProblemKind;
  readonly row: number;
  readonly message: string;
}

/**
 * Gives the hard links of a VirtualFull the FileIndex under which their data is now: their LStat has the one of the source job,
 * but the name of what they link to still holds. `linkPath` has that name's path for each row of `files.linkRow`.
 */
export function relink(files: FileTable, linkPath: Column): void {
  const wanted = new Map<number, number>();
  for (let at = 0; at < linkPath.rows; at += 1) wanted.set(linkPath.get(at), 0);
  for (let row = 0; row < files.rows; row += 1) {
    const type = files.type.get(row);
    if (type === FILE_TYPE.LNKSAVED || type === FILE_TYPE.DELETED) continue;
    const path = files.path.get(row);
    if (wanted.has(path)) wanted.set(path, files.fileIndex.get(row));
  }
  const targets = new Column();
  for (let at = 0; at < linkPath.rows; at += 1) targets.push(wanted.get(linkPath.get(at)) ?? 0);
  files.linkTarget = targets;
}

/** Names that come twice with different facts, and links whose data is not there. `paths`: how many paths there are. */
export function* checkRows(files: FileTable, paths: number): Generator<RowFinding> {
  yield* repeatedPaths(files, paths);
  for (let at = 0; at < files.linkRow.rows; at += 1) {
    const target = files.rowOf(files.linkTarget.get(at));
    if (target !== undefined && files.type.get(target) !== FILE_TYPE.LNKSAVED) continue;
    yield { kind: 'missing-link-target', row: files.linkRow.get(at), message: `it is a hard link to file ${files.linkTarget.get(at)}, which is not there` };
  }
}

/**
 * Overlapping FileSets store an entry twice, and Bacula's restore takes the last one: worth a word only where the two differ.
 * Source: the rule of Bacula's restore tree, that the last copy within one job counts.
 */
function* repeatedPaths(files: FileTable, paths: number): Generator<RowFinding> {
  const seen = new Uint8Array(paths);
  const repeated = new Map<number, number>();
  for (let row = 0; row < files.rows; row += 1) {
    if (files.type.get(row) === FILE_TYPE.DELETED) continue;
    const path = files.path.get(row);
    if (seen[path] === 1) repeated.set(path, -1);
    seen[path] = 1;
  }
  for (let row = 0; repeated.size > 0 && row < files.rows; row += 1) {
    const first = files.type.get(row) === FILE_TYPE.DELETED ? undefined : repeated.get(files.path.get(row));
    if (first === undefined) continue;
    if (first < 0) repeated.set(files.path.get(row), row);
    else if (!sameEntry(files, first, row)) yield { kind: 'duplicate-path', row, message: 'it comes twice in one job and changed in between; the last one counts' };
  }
}

function sameEntry(files: FileTable, a: number, b: number): boolean {
  const [one, other] = [files.owner(a), files.owner(b)];
  const isDirectory = nodeType(files.type.get(a), one.mode, 0) === 'directory';
  return one === other && files.modified.get(a) === files.modified.get(b) && files.changed.get(a) === files.changed.get(b)
    && (isDirectory || files.size.get(a) === files.size.get(b));
}

/** Of the files that a job was storing when it was stopped, by path, those that it did not store after its restart. */
export function* notStoredAgain(files: FileTable, stopped: ReadonlyMap<number, DamagePlace>): Generator<{ readonly path: number; readonly place: DamagePlace }> {
  if (stopped.size === 0) return;
  const missing = new Map(stopped);
  for (let row = 0; row < files.rows; row += 1) missing.delete(files.path.get(row));
  for (const [path, place] of missing) yield { path, place };
}

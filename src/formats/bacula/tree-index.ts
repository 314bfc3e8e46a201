/** Which row each path of a tree stands for, and each directory's entries: a few bytes a path. */
import { FILE_TYPE } from './attributes.ts';
import { type Column, columnOf } from './column.ts';
import { FILE_FLAG } from './file-table.ts';
import { nodeType } from './node-type.ts';
import type { Chain } from './chain.ts';
import type { PathTable } from './path-table.ts';
import type { SessionIndex } from './session-index.ts';

/** A row of one session; `global` counts over all sessions of the tree. */
export interface TreeRow {
  readonly session: SessionIndex;
  readonly row: number;
  readonly global: number;
}

const PRESENT = 1;
const DIRECTORY = 2;

/** Built once for a tree, then only read. */
export class TreeIndex {
  readonly #sessions: readonly SessionIndex[];
  readonly #bases: readonly number[];
  readonly #paths: PathTable;
  /** Global row + 1 by path; 0 where no job has one. */
  readonly #rows: Column;
  readonly #state: Uint8Array;
  /** By path, and one more: where in `#children` its entries begin, in no order. */
  readonly #childStart: Column;
  readonly #children: Column;
  /** Rows whose content is another row's: metadata-only rows of a chain. */
  readonly #contentOf = new Map<number, number>();
  readonly #links = new Map<number, number>();
  /** Global row + 1 in the Base jobs by path; empty without Base jobs. */
  readonly #baseRows: Uint32Array;

  constructor(chain: Chain, paths: PathTable) {
    const sessions = [...chain.bases, ...chain.sessions];
    this.#sessions = sessions;
    this.#paths = paths;
    let base = 0;
    this.#bases = sessions.map((session) => {
      const own = base;
      base += session.files.rows;
      return own;
    });
    this.#state = new Uint8Array(paths.count);
    this.#baseRows = new Uint32Array(chain.bases.length === 0 ? 0 : paths.count);
    for (const i of chain.bases.keys()) this.#enterBase(i);
    const rows = new Uint32Array(paths.count);
    for (let i = chain.bases.length; i < sessions.length; i += 1) this.#apply(i, rows);
    this.#rows = columnOf(rows, 1);
    this.#markPresent();
    [this.#childStart, this.#children] = this.#collectChildren();
    this.#countLinks();
  }

  isPresent(path: number): boolean {
    return ((this.#state[path] ?? 0) & PRESENT) !== 0;
  }

  isDirectory(path: number): boolean {
    return ((this.#state[path] ?? 0) & DIRECTORY) !== 0;
  }

  /** Paths of a directory's entries, ascending by the bytes of their names; the caller's. */
  children(path: number): Uint32Array {
    const start = this.#childStart.get(path);
    const children = new Uint32Array(this.#childStart.get(path + 1) - start);
    for (let at = 0; at < children.length; at += 1) children[at] = this.#children.get(start + at);
    return children.sort((a, b) => this.#paths.compareNames(a, b));
  }

  rowOfPath(path: number): TreeRow | undefined {
    const row = this.#rows.get(path);
    return row === 0 ? undefined : this.locate(row - 1);
  }

  /** The row behind a global number. */
  locate(global: number): TreeRow {
    let i = this.#bases.length - 1;
    while (i > 0 && (this.#bases[i] as number) > global) i -= 1;
    return { session: this.#sessions[i] as SessionIndex, row: global - (this.#bases[i] as number), global };
  }

  /** Path of a global row. */
  pathOf(global: number): number | undefined {
    const { session, row } = this.locate(global);
    return row < session.files.rows ? session.files.path.get(row) : undefined;
  }

  /** The row that stands for the inode: a hard link's is that of its data, where it is known, and a Base job's for what it holds. */
  inode(row: TreeRow): TreeRow {
    const target = row.session.files.linkOf(row.row);
    const found = target === undefined ? undefined : row.session.files.rowOf(target);
    if (found === undefined || found === row.row) return row;
    const inode = { session: row.session, row: found, global: row.global - row.row + found };
    const base = this.#baseOf(inode);
    return base === undefined ? inode : this.inode(base);
  }

  /** Rows of the jobs themselves that say "as in the Base job" where no Base job of this tree has the entry. */
  needsBase(row: TreeRow): boolean {
    return row.session.files.type.get(row.row) === FILE_TYPE.BASE && this.#baseOf(row) === undefined;
  }

  /** How many entries of the tree lack their Base job. */
  get entriesWithoutBase(): number {
    let count = 0;
    for (const { files } of this.#sessions) if (files.baseEntries > 0) count += 1;
    if (count === 0) return 0;
    count = 0;
    for (let path = 1; path < this.#paths.count; path += 1) {
      const row = this.rowOfPath(path);
      if (row !== undefined && this.needsBase(row)) count += 1;
    }
    return count;
  }

  #baseOf(row: TreeRow): TreeRow | undefined {
    if (row.session.files.type.get(row.row) !== FILE_TYPE.BASE) return undefined;
    const base = this.#baseRows[row.session.files.path.get(row.row)] ?? 0;
    return base === 0 ? undefined : this.locate(base - 1);
  }

  #enterBase(i: number): void {
    const { files } = this.#sessions[i] as SessionIndex;
    for (let row = 0; row < files.rows; row += 1) {
      const type = files.type.get(row);
      if (type !== FILE_TYPE.DELETED && type !== FILE_TYPE.BASE) this.#baseRows[files.path.get(row)] = (this.#bases[i] as number) + row + 1;
    }
  }

  /** The row that holds the content; undefined when it is in no job of the tree. */
  dataRow(row: TreeRow): TreeRow | undefined {
    const inode = this.inode(row);
    const { files } = inode.session;
    if (files.type.get(inode.row) === FILE_TYPE.LNKSAVED) return undefined;
    if ((files.flags.get(inode.row) & FILE_FLAG.metadataOnly) === 0) return inode;
    const content = this.#contentOf.get(inode.global);
    return content === undefined ? undefined : this.locate(content);
  }

  /** Names of the row's inode in this tree. */
  links(row: TreeRow): number {
    return this.#links.get(row.global) ?? 1;
  }

  /** Every row of the tree with content of its own, in the order of the backup. */
  *contentRows(): Generator<TreeRow> {
    for (const [i, session] of this.#sessions.entries()) {
      for (let row = 0; row < session.files.rows; row += 1) {
        if (session.files.stream.get(row) !== 0) yield { session, row, global: (this.#bases[i] as number) + row };
      }
    }
  }

  /** Puts one job over what the jobs before it left. */
  #apply(i: number, rows: Uint32Array): void {
    const { files } = this.#sessions[i] as SessionIndex;
    const base = this.#bases[i] as number;
    for (let row = 0; row < files.rows; row += 1) {
      const path = files.path.get(row);
      const before = rows[path] as number;
      if (files.type.get(row) === FILE_TYPE.DELETED) {
        // What the same job saved stands: a directory that became a file is deleted and saved under one path.
        if (before <= base) rows[path] = 0;
        continue;
      }
      if ((files.flags.get(row) & FILE_FLAG.metadataOnly) !== 0 && before !== 0 && files.type.get(row) !== FILE_TYPE.BASE) {
        const content = this.#contentOf.get(before - 1) ?? this.inode(this.locate(before - 1)).global;
        this.#contentOf.set(base + row, content);
      }
      const held = files.type.get(row) === FILE_TYPE.BASE ? this.#baseRows[path] ?? 0 : 0;
      rows[path] = held === 0 ? base + row + 1 : held;
    }
  }

  #markPresent(): void {
    const state = this.#state;
    for (let path = this.#paths.count - 1; path > 0; path -= 1) {
      if (this.#rows.get(path) !== 0) state[path] = PRESENT;
      if (((state[path] as number) & PRESENT) !== 0) state[this.#paths.parent(path)] = PRESENT;
    }
    state[0] = PRESENT | DIRECTORY;
    for (let path = 1; path < this.#paths.count; path += 1) {
      // An entry below something that is no directory any more is gone with it.
      if (((state[path] as number) & PRESENT) !== 0) state[path] = this.isDirectory(this.#paths.parent(path)) ? PRESENT | (this.#isDirectoryRow(path) ? DIRECTORY : 0) : 0;
    }
  }

  #isDirectoryRow(path: number): boolean {
    const row = this.rowOfPath(path);
    if (row === undefined) return true;
    const { files } = row.session;
    return nodeType(files.type.get(row.row), files.owner(row.row).mode, files.stream.get(row.row)) === 'directory';
  }

  #collectChildren(): [Column, Column] {
    const start = new Uint32Array(this.#paths.count + 1);
    let total = 0;
    for (let path = 1; path < this.#paths.count; path += 1) {
      if (!this.isPresent(path)) continue;
      const parent = this.#paths.parent(path);
      start[parent + 1] = (start[parent + 1] as number) + 1;
      total += 1;
    }
    for (let path = 0; path < this.#paths.count; path += 1) start[path + 1] = (start[path + 1] as number) + (start[path] as number);
    const children = new Uint32Array(total);
    for (let path = 1; path < this.#paths.count; path += 1) {
      if (!this.isPresent(path)) continue;
      const parent = this.#paths.parent(path);
      const at = start[parent] as number;
      children[at] = path;
      start[parent] = at + 1;
    }
    // Filling has moved each start to its end, which is the next one's start.
    start.copyWithin(1, 0, this.#paths.count);
    start[0] = 0;
    return [columnOf(start), columnOf(children, 1)];
  }

  #countLinks(): void {
    for (const [i, session] of this.#sessions.entries()) {
      const { files } = session;
      for (let at = 0; at < files.linkRow.rows; at += 1) {
        const row = files.linkRow.get(at);
        const global = (this.#bases[i] as number) + row;
        if (this.#rows.get(files.path.get(row)) !== global + 1 || !this.isPresent(files.path.get(row))) continue;
        const inode = this.inode({ session, row, global });
        if (inode.global === global) continue;
        const path = files.path.get(inode.row);
        const own = this.#rows.get(path) === inode.global + 1 && this.isPresent(path) ? 1 : 0;
        this.#links.set(inode.global, (this.#links.get(inode.global) ?? own) + 1);
      }
    }
  }
}

/**
 * Owner, attributes, mode and times of a restored entry, in the one order that works: owner first (a change of owner
 * clears set-id bits and file capabilities), attributes while the entry is still writable for us, then mode, times last.
 * What the system refuses is a problem, not an error.
 */
import type { NodeMetadata, NodeStat } from '../../core/index.ts';
import type { ProblemList } from './sink-problems.ts';
import { errnoName, type SystemCalls } from './system-calls.ts';

/** Who restores, and whether owners are restored. */
export interface OwnershipPolicy {
  readonly apply: boolean;
  readonly uid: number;
  readonly gid: number;
}

/** `(uid_t) -1` means "leave it" to chown(2): never let a hostile entry keep our own user that way. */
const NO_ID = 0xffff_ffff;
const SET_ID_BITS = 0o6000;
/** Attributes that only drivers of one filesystem take: elsewhere they have no place, and nothing of the file is lost with them. */
const PRIVATE_NAMES = /^(?:system\.(?:ntfs|nfs4)_|btrfs\.)/;
const EOPNOTSUPP = 95;

/** What an entry is reached by: an open descriptor (files, directories), or its place (links, special files). */
export type EntryPlace = { readonly fd: number } | { readonly directory: number; readonly name: Uint8Array };

/** Applies metadata; collects refusals. One instance per sink. */
export class MetadataWriter {
  readonly #calls: SystemCalls;
  readonly #problems: ProblemList;
  readonly #policy: OwnershipPolicy;
  readonly #leftOut = new Map<string, number>();

  constructor(calls: SystemCalls, problems: ProblemList, policy: OwnershipPolicy) {
    this.#calls = calls;
    this.#problems = problems;
    this.#policy = policy;
  }

  /** Private attributes of other filesystems that the target does not take: how many, by name. */
  get leftOut(): ReadonlyMap<string, number> {
    return this.#leftOut;
  }

  /** `path` is for problems only. */
  apply(path: Uint8Array, place: EntryPlace, metadata: NodeMetadata): void {
    const { stat, attributes } = metadata;
    const owned = this.#applyOwner(path, place, stat);
    if (attributes.size > 0) this.#applyAttributes(path, place, attributes);
    if (stat.type !== 'symlink') this.#applyMode(path, place, stat, owned);
    const calls = this.#calls;
    this.#note(path, 'times', 'fd' in place
      ? calls.setTimesFd(place.fd, stat.accessed, stat.modified)
      : calls.setTimesAt(place.directory, place.name, stat.accessed, stat.modified));
  }

  /** @returns whether the entry now belongs to whom it should. */
  #applyOwner(path: Uint8Array, place: EntryPlace, stat: NodeStat): boolean {
    const { apply, uid, gid } = this.#policy;
    if (!apply) return stat.uid === uid && stat.gid === gid;
    if (stat.uid === NO_ID || stat.gid === NO_ID) {
      this.#problems.add(path, 'owner', `Set owner '${stat.uid}:${stat.gid}': not a user and group`);
      return false;
    }
    return this.#note(path, 'owner', 'fd' in place
      ? this.#calls.chownFd(place.fd, stat.uid, stat.gid)
      : this.#calls.chownAt(place.directory, place.name, stat.uid, stat.gid));
  }

  #applyAttributes(path: Uint8Array, place: EntryPlace, attributes: ReadonlyMap<string, Uint8Array>): void {
    if (!this.#calls.capabilities.attributes) {
      this.#problems.add(path, 'attributes', `Set ${attributes.size} attributes: ${this.#calls.capabilities.reason ?? 'no libc calls'}`);
      return;
    }
    for (const [name, value] of attributes) {
      const failed = name.includes('\0') ? -22 : 'fd' in place
        ? this.#calls.setAttributeFd(place.fd, name, value)
        : this.#calls.setAttributeAt(place.directory, place.name, name, value);
      if (failed === -EOPNOTSUPP && PRIVATE_NAMES.test(name)) this.#leftOut.set(name, (this.#leftOut.get(name) ?? 0) + 1);
      else if (failed < 0) this.#problems.add(path, `attribute ${name}`, `Set attribute '${name}': ${errnoName(failed)}`);
    }
  }

  #applyMode(path: Uint8Array, place: EntryPlace, stat: NodeStat, owned: boolean): void {
    let mode = stat.mode & 0o7777;
    // Set-id bits would lend the rights of whoever owns the file now to everybody.
    if (!owned && stat.type === 'file' && (mode & SET_ID_BITS) !== 0) {
      this.#problems.add(path, 'mode', `Set mode '${mode.toString(8)}': set-id bits left out, since the owner '${stat.uid}:${stat.gid}' was not restored`);
      mode &= ~SET_ID_BITS;
    }
    this.#note(path, 'mode', 'fd' in place
      ? this.#calls.chmodFd(place.fd, mode)
      : this.#calls.chmodAt(place.directory, place.name, mode));
  }

  #note(path: Uint8Array, what: string, result: number): boolean {
    if (result < 0) this.#problems.add(path, what, `Set ${what}: ${errnoName(result)}`);
    return result >= 0;
  }
}

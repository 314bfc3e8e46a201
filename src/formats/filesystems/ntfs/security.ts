/**
 * Owners and permissions as Unix has them, from security descriptors.
 *
 * The translation is the one of ntfs-3g with its option `permissions` and without a user mapping, so that both show the same: owner, group
 * and everyone from their entries of the access list; numbers from the security identifiers that ntfs-3g makes, root for all others.
 * Entries for further users, which ntfs-3g can show as POSIX ACLs, are not translated: the descriptor itself is kept as an attribute.
 * Source: Microsoft [MS-DTYP], sections 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (SECURITY_DESCRIPTOR); behaviour observed of ntfs-3g 2022.10.3.
 */
import { FormatError } from '../../../core/index.ts';

const STRUCTURE = 'security descriptor';
const HEAD_BYTES = 20;
const ACL_BYTES = 8;
const ACE_HEAD_BYTES = 8;
const INHERIT_ONLY = 0x08;
const ACE_ALLOWED = 0;
const ACE_DENIED = 1;
const SUB_AUTHORITIES_MAX = 15;
/** Access rights: [MS-DTYP] 2.4.3 and [MS-FSCC]. */
const RIGHT = { readData: 0x1, writeData: 0x2, appendData: 0x4, readExtended: 0x8, execute: 0x20, writeOwner: 0x8_0000, synchronize: 0x10_0000, all: 0x1000_0000, genericExecute: 0x2000_0000, genericWrite: 0x4000_0000 } as const;
const GENERIC_READ = 0x8000_0000;

/** Well-known identifiers by their text. */
const WORLD: ReadonlySet<string> = new Set(['S-1-1-0', 'S-1-5-32-545', 'S-1-5-11']);
const ADMINISTRATORS = 'S-1-5-32-544';
const SYSTEM = 'S-1-5-18';
const NOBODY = 'S-1-0-0';
/** Base of the identifiers that ntfs-3g makes: twice the number is added to the last part, and 1 for groups. */
const MADE = { head: 'S-1-5-21-3141592653-589793238-', third: 462_843_383, last: 10_000 } as const;

/** What a descriptor says, in Unix's terms. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, set-id and sticky. */
  readonly mode: number;
}

interface Ace {
  readonly type: number;
  readonly mask: number;
  readonly sid: string;
}

function fault(field: string, offset: number, found: number, expected: string): FormatError {
  return new FormatError('Read security descriptor', { structure: STRUCTURE, field, offset, found, expected });
}

/** `S-1-…` of the identifier at `at`. @throws {FormatError} */
export function sidText(bytes: Uint8Array, at: number): string {
  const count = bytes[at + 1];
  if (count === undefined || count > SUB_AUTHORITIES_MAX || at + 8 + 4 * count > bytes.length) throw fault('sid', at, count ?? at, `an identifier in ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = Array.from({ length: count }, (_, i) => view.getUint32(at + 8 + 4 * i, true));
  return ['S', bytes[at], view.getUint16(at + 2) * 0x1_0000_0000 + view.getUint32(at + 4), ...parts].join('-');
}

/** Entries that hold for the file itself. */
function readAccessList(bytes: Uint8Array, at: number): readonly Ace[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (at + ACL_BYTES > bytes.length) throw fault('dacl', 16, at, `at most ${bytes.length - ACL_BYTES}`);
  const aces: Ace[] = [];
  let next = at + ACL_BYTES;
  for (let left = view.getUint16(at + 4, true); left > 0; left -= 1) {
    const size = next + ACE_HEAD_BYTES <= bytes.length ? view.getUint16(next + 2, true) : 0;
    if (size < ACE_HEAD_BYTES || next + size > bytes.length) throw fault('aceSize', next + 2, size, `8 to ${bytes.length - next}`);
    const type = bytes[next] as number;
    const flags = bytes[next + 1] as number;
    if ((flags & INHERIT_ONLY) === 0 && (type === ACE_ALLOWED || type === ACE_DENIED)) aces.push({ type, mask: view.getUint32(next + 4, true), sid: sidText(bytes, next + 8) });
    next += size;
  }
  return aces;
}

/** The number of an identifier that ntfs-3g made; 0 for all others. `group` is 1 for groups. */
function numberOf(sid: string, group: 0 | 1): number {
  if (!sid.startsWith(MADE.head)) return 0;
  const [third, last, ...more] = sid.slice(MADE.head.length).split('-').map(Number);
  if (third === undefined || last === undefined || more.length > 0) return 0;
  const carry = third - MADE.third;
  if (carry < 0 || carry > 3 || last <= MADE.last || ((last ^ MADE.last ^ group) & 1) !== 0) return 0;
  return carry * 2 ** 30 + (((last - MADE.last) >>> 1) & 0x3fff_ffff);
}

/** rwx of a mask. */
function bitsOf(mask: number): number {
  const { readData, writeData, appendData, execute, genericWrite, genericExecute } = RIGHT;
  return ((mask & (readData | GENERIC_READ)) !== 0 ? 4 : 0) | ((mask & (writeData | appendData | genericWrite)) !== 0 ? 2 : 0) | ((mask & (execute | genericExecute)) !== 0 ? 1 : 0);
}

/** What a class of users was granted and denied. */
interface Rights {
  seen: boolean;
  allowed: number;
  denied: number;
}

/** Sorts entries by the class of users they are for. */
class AccessClasses {
  readonly owner: Rights = { seen: false, allowed: 0, denied: 0 };
  readonly group: Rights = { seen: false, allowed: 0, denied: 0 };
  readonly world: Rights = { seen: false, allowed: 0, denied: 0 };
  special = 0;
  adminOwns = false;
  #hasGroup = false;
  groupOwns: boolean;
  readonly #ownerSid: string;
  readonly #groupSid: string;

  constructor(ownerSid: string, groupSid: string) {
    this.#ownerSid = ownerSid;
    this.#groupSid = groupSid;
    this.groupOwns = ownerSid === groupSid;
  }

  add(ace: Ace): void {
    const { type, mask, sid } = ace;
    // Rights that everyone has, left out, mark an entry for root as a further user.
    if (type === ACE_ALLOWED && sid === ADMINISTRATORS && (~mask & (RIGHT.synchronize | RIGHT.readExtended)) !== 0) return;
    if (sid === this.#ownerSid) this.#addOwner(ace);
    else if (sid === this.#groupSid) this.#addGroup(ace);
    else if (WORLD.has(sid)) note(this.world, ace);
    else if (sid === NOBODY && type === ACE_ALLOWED) {
      this.special |= ((mask & RIGHT.appendData) !== 0 ? 0o4000 : 0) | ((mask & RIGHT.writeData) !== 0 ? 0o2000 : 0) | ((mask & RIGHT.readData) !== 0 ? 0o1000 : 0);
    }
  }

  #addOwner(ace: Ace): void {
    // An entry for the owner without the owner's own right is meant for a group of the same identifier.
    if (ace.type === ACE_ALLOWED && (ace.mask & (RIGHT.writeOwner | RIGHT.all)) === 0) {
      if (this.#groupSid === this.#ownerSid) note(this.group, ace);
      else this.groupOwns = true;
      return;
    }
    if (ace.type === ACE_DENIED && (ace.mask & RIGHT.writeOwner) !== 0) return;
    if (ace.sid !== SYSTEM && !(this.adminOwns && ace.sid === ADMINISTRATORS)) note(this.owner, ace);
    if (this.#ownerSid === ADMINISTRATORS) this.adminOwns = true;
  }

  #addGroup(ace: Ace): void {
    if (ace.type === ACE_DENIED && (ace.mask & RIGHT.writeOwner) !== 0) return;
    const privileged = (this.#groupSid === ADMINISTRATORS || this.#groupSid === SYSTEM) && (ace.mask & (RIGHT.writeOwner | RIGHT.all)) !== 0;
    if (this.#groupSid === ADMINISTRATORS) this.adminOwns = true;
    if (this.#hasGroup) return;
    if (ace.type === ACE_ALLOWED) this.#hasGroup = true;
    if (!privileged) note(this.group, ace);
  }

  mode(): number {
    const { owner, group, world } = this;
    const everyone = world.allowed;
    const groupAllowed = group.seen ? group.allowed : everyone;
    const ownerAllowed = owner.seen ? owner.allowed : 7;
    if (this.adminOwns) return this.special | ((ownerAllowed & ~world.denied) << 6) | ((groupAllowed & ~world.denied) << 3) | (everyone & ~world.denied);
    const shared = this.groupOwns ? 0 : everyone;
    const forOwner = (ownerAllowed | (this.groupOwns ? 0 : groupAllowed) | shared) & ~(owner.denied | world.denied);
    const forGroup = (groupAllowed | shared) & ~(group.denied | world.denied);
    return this.special | (forOwner << 6) | (forGroup << 3) | (everyone & ~world.denied);
  }
}

function note(rights: Rights, { type, mask }: Ace): void {
  rights.seen = true;
  if (type === ACE_ALLOWED) rights.allowed |= bitsOf(mask);
  else rights.denied |= bitsOf(mask);
}

/** Whoever was given the right to become owner counts as the owner: Windows lets administrators own what is a user's. */
function ownerOf(aces: readonly Ace[], stored: string): string {
  const user = aces.find(({ type, mask, sid }) => type === ACE_ALLOWED && (mask & RIGHT.writeOwner) !== 0 && /^S-1-5-21(?:-\d+){4}$/.test(sid));
  return user?.sid ?? stored;
}

/** Translates a self-relative descriptor. @throws {FormatError} */
export function readOwnership(bytes: Uint8Array): Ownership {
  if (bytes.length < HEAD_BYTES) throw fault('size', 0, bytes.length, 'at least 20');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ownerAt = view.getUint32(4, true);
  const groupAt = view.getUint32(8, true);
  const listAt = view.getUint32(16, true);
  const aces = listAt === 0 ? [] : readAccessList(bytes, listAt);
  const ownerSid = ownerOf(aces, ownerAt === 0 ? '' : sidText(bytes, ownerAt));
  const groupSid = groupAt === 0 ? '' : sidText(bytes, groupAt);
  const classes = new AccessClasses(ownerSid, groupSid);
  for (const ace of aces) classes.add(ace);
  return { uid: numberOf(ownerSid, 0), gid: numberOf(groupSid, 1), mode: classes.mode() };
}

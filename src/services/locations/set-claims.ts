/**
 * Which set a disk belongs to that knows only itself: a physical volume without a copy of its group's description (`pvcreate --pvmetadatacopies 0`) is named
 * by that of another disk.
 */
import type { SetMember } from './probes.ts';

/** What the members that were found so far say of others. */
export class SetClaims {
  readonly #groups = new Map<string, Set<string>>();

  /** Notes whom a member, or several of one set, list. */
  add({ group, listed = [] }: Pick<SetMember, 'group' | 'listed'>): void {
    for (const member of listed) this.#groups.set(member, (this.#groups.get(member) ?? new Set()).add(group));
  }

  /** Sets that list a member. With more than one nobody knows which of them it belongs to. */
  of(member: string): readonly string[] {
    return [...this.#groups.get(member) ?? []];
  }
}

/** Why a disk that several sets list is in none of them. */
export function ambiguousClaim(member: string, groups: readonly string[]): string {
  return `disk '${member}' knows no set, and ${groups.length} sets list it ('${groups.join("', '")}'): name those that belong together`;
}

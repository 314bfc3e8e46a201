/** User and group names of this host: Bacula stores POSIX ACLs by name, so restoring them needs the ids. */
import { readFileSync } from 'node:fs';
import { UsageError } from '../../core/index.ts';

/** Looks up ids by name; undefined for a name that this host doesn't know. */
export interface Accounts {
  user(name: string): number | undefined;
  group(name: string): number | undefined;
}

function readTable(file: string): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // A container may have no such file: then no name is known, and each ACL that needs one says so.
    return ids;
  }
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name !== undefined && id !== undefined && /^\d+$/.test(id) && !ids.has(name)) ids.set(name, Number(id));
  }
  return ids;
}

/**
 * Names the user gave ids for, before those of `base`.
 * @throws {UsageError} for a text that is not `NAME=ID`.
 */
export function mappedAccounts(users: readonly string[], groups: readonly string[], base: Accounts): Accounts {
  const parse = (text: string): readonly [string, number] => {
    const match = /^(.+)=(\d{1,10})$/.exec(text);
    if (match === null) throw new UsageError(`Read '${text}': expected NAME=ID`);
    return [match[1] ?? '', Number(match[2])];
  };
  const [userIds, groupIds] = [new Map(users.map(parse)), new Map(groups.map(parse))];
  return { user: (name) => userIds.get(name) ?? base.user(name), group: (name) => groupIds.get(name) ?? base.group(name) };
}

/** Reads `/etc/passwd` and `/etc/group` at the first question. Directory services (LDAP, SSSD) are not asked. */
export function hostAccounts(directory = '/etc'): Accounts {
  let users: ReadonlyMap<string, number> | undefined;
  let groups: ReadonlyMap<string, number> | undefined;
  return {
    user: (name) => (users ??= readTable(`${directory}/passwd`)).get(name),
    group: (name) => (groups ??= readTable(`${directory}/group`)).get(name),
  };
}

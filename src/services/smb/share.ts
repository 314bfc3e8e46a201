/**
 * What a share is called, who may use it, and its section of smb.conf. Whatever goes into Samba's configuration is checked here: a line feed, a
 * bracket or a `%` in it could set any parameter of a program that runs as root, and locations may hold names that a guest chose.
 */
import { UsageError } from '../../core/index.ts';

/** Who may use a share. `guests`: anyone, without a password; else users and `@groups` of Samba. */
export type ShareAccess = 'guests' | readonly string[];

const nameCharactersMax = 60;
const shareName = new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,${nameCharactersMax - 1}}$`);
/** Sections of smb.conf that mean something else, the names of Windows, and our own index. */
const reservedNames = new Set(['global', 'homes', 'printers', 'ipc', 'admin', 'print', 'holdfast']);
const userName = /^[@+&]?[A-Za-z0-9_][A-Za-z0-9_.-]*(?:\\[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;
const safePath = /^(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/;

/** A name that was given, in small letters: Samba does not tell case apart. @throws {UsageError} */
export function checkShareName(name: string): string {
  if (!shareName.test(name)) throw new UsageError(`Name share '${name}': expected at most ${nameCharactersMax} letters, digits, '.', '_' and '-', the first a letter or digit`);
  if (reservedNames.has(name.toLowerCase())) throw new UsageError(`Name share '${name}': the name is reserved`);
  return name.toLowerCase();
}

/** The name for a location: its last letters and digits, all else one `-`. @throws {UsageError} there are none. */
export function shareNameFor(location: string): string {
  const name = location.replaceAll(/[^A-Za-z0-9_.]+/g, '-').slice(-nameCharactersMax).replace(/^[^A-Za-z0-9]+/, '').replace(/[^A-Za-z0-9]+$/, '');
  if (!shareName.test(name) || reservedNames.has(name.toLowerCase())) throw new UsageError(`Name a share for '${location}': name it by --share`);
  return checkShareName(name);
}

/** Users and groups, separated by commas or spaces. @throws {UsageError} */
export function checkUsers(list: string): readonly string[] {
  const users = list.split(/[ ,]+/).filter((name) => name !== '');
  const wrong = users.find((name) => !userName.test(name));
  if (wrong !== undefined) throw new UsageError(`Read option '--valid-users': found '${wrong}', expected a user, DOMAIN\\user or @group`);
  if (users.length === 0) throw new UsageError("Read option '--valid-users': found no name");
  return users;
}

/** A path that may stand in smb.conf. @throws {UsageError} */
export function checkPath(path: string): string {
  if (!safePath.test(path)) throw new UsageError(`Use '${path}' in Samba's configuration: expected an absolute path of letters, digits, '.', '_' and '-'`);
  return path;
}

/**
 * The share's section. Who may connect sees all files, as root: users and modes of a guest mean nothing to users of this host. So links lead nowhere
 * outside, and attributes of the guest are never read as Samba's own (`security.NTACL`, `user.DOSATTRIB`).
 */
export function shareSection(name: string, path: string, access: ShareAccess): string {
  const lines = [
    `[${checkShareName(name)}]`,
    'comment = read-only, served by holdfast',
    `path = ${checkPath(path)}`,
    ...(access === 'guests' ? ['guest ok = yes', 'valid users ='] : ['guest ok = no', `valid users = ${checkUsers(access.join(' ')).join(' ')}`]),
    'read only = yes', 'write list =', 'force user = root', 'wide links = no', 'msdfs root = no', 'vfs objects =', 'nt acl support = no', 'ea support = no', 'store dos attributes = no',
    'map archive = no', 'map readonly = no', 'posix locking = no', 'kernel share modes = no',
  ];
  return `${lines.join('\n\t')}\n`;
}

/**
 * Files with secrets: read only where nobody else can read them, written so that they are whole or not there. Paths are those of the system, as these
 * files belong to hosts, not to repositories.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { BusyError, NotFoundError, ToolError, UsageError } from '../../core/index.ts';
import { makeDirectories } from './make-directories.ts';

/** Bits of a mode that let others than the owner in. */
const OTHERS = 0o077;

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'failed';
}

function checkOwner(file: string, stat: fs.Stats): void {
  if (!stat.isFile()) throw new UsageError(`Read '${file}': it is no file`, { path: file });
  const mode = stat.mode & 0o7777;
  if ((mode & OTHERS) !== 0) {
    throw new UsageError(`Read '${file}': its mode is '${mode.toString(8).padStart(4, '0')}', so others may read or change the secret; expected '0600' or stricter`, { path: file });
  }
  const user = process.geteuid?.();
  if (user !== undefined && stat.uid !== user && stat.uid !== 0) {
    throw new UsageError(`Read '${file}': it belongs to user '${stat.uid}', expected '${user}' or '0'`, { path: file });
  }
}

/**
 * The content of a file of at most `bytesMax`; the caller overwrites it after use.
 * @throws {NotFoundError} there is none. @throws {UsageError} others may read or change it, it belongs to somebody else, or it is too long.
 */
export function readSecretFile(file: string, bytesMax: number): Uint8Array {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK); // a FIFO must not stop us
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new NotFoundError(`Read '${file}': there is no such file`, { path: file }, error);
    throw new ToolError(`Read '${file}': ${code}`, { path: file, errno: code }, error);
  }
  try {
    checkOwner(file, fs.fstatSync(fd));
    const content = new Uint8Array(bytesMax + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < content.length; length += count) count = fs.readSync(fd, content, length, content.length - length, length);
    if (length > bytesMax) throw new UsageError(`Read '${file}': it has more than '${bytesMax}' bytes`, { path: file });
    return content.subarray(0, length);
  } finally {
    fs.closeSync(fd);
  }
}

function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Writes a file of mode 0600 beside `file` and gives it its name by `place`; durable when it returns. */
function writeBeside(file: string, content: Uint8Array, place: (temporary: string) => void): void {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  let made = false;
  try {
    const fd = fs.openSync(temporary, 'wx', 0o600);
    made = true;
    try {
      fs.writeFileSync(fd, content);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    place(temporary);
    syncDirectory(path.dirname(file));
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') throw new BusyError(`Write '${file}': it exists, and keys are not overwritten`, { path: file });
    throw new ToolError(`Write '${file}': ${code}`, { path: file, errno: code }, error);
  } finally {
    if (made) fs.rmSync(temporary, { force: true });
  }
}

/** Creates a file of mode 0600 in one step. @throws {BusyError} it exists. @throws {ToolError} it can't be written. */
export function createSecretFile(file: string, content: Uint8Array): void {
  writeBeside(file, content, (temporary) => { fs.linkSync(temporary, file); });
}

/** Replaces a file by one of mode 0600 in one step. @throws {ToolError} it can't be written. */
export function replaceSecretFile(file: string, content: Uint8Array): void {
  writeBeside(file, content, (temporary) => { fs.renameSync(temporary, file); });
}

/** Names in a directory whose files hold secrets, in ascending order; none when there is no such directory. */
export function listSecretFiles(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return [];
    throw new ToolError(`List '${directory}': ${code}`, { path: directory, errno: code }, error);
  }
}

/** Makes a directory of mode 0700 when it is not there. */
export function makeSecretDirectory(directory: string): void {
  try {
    makeDirectories(directory);
  } catch (error) {
    throw new ToolError(`Make directory '${directory}': ${codeOf(error)}`, { path: directory, errno: codeOf(error) }, error);
  }
}

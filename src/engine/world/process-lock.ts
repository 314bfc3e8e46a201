/**
 * An advisory lock made of create-once files, because Node has no flock: each candidate writes its own file into the
 * lock's directory, then looks who else is there. Two that meet see each other and at least one gives way, so there is never more
 * than one holder. A file whose process is gone (same host and boot, no such pid or another start time) is removed.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { BusyError, ToolError } from '../../core/index.ts';

interface Holder {
  readonly host: string;
  readonly boot: string;
  readonly pid: number;
  readonly started: string;
  readonly description: string;
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Field 22 of /proc/PID/stat: the start time in clock ticks, so that a reused pid is not taken for the holder. */
function startTime(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id').trim();
}

function isAlive(holder: Holder): boolean {
  // Another machine or container can't be judged from here: believe the file.
  if (holder.host !== os.hostname() || holder.boot !== bootId()) return holder.host !== os.hostname();
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
  return holder.started === '' || startTime(holder.pid) === holder.started;
}

function parseHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock whose candidates live in `directory`.
 * @throws {BusyError} naming the holder. @throws {ToolError} when the directory can't be written.
 */
export async function takeLock(directory: string, description: string): Promise<{ release(): Promise<void> }> {
  const own = path.join(directory, `${randomBytes(8).toString('hex')}.json`);
  const self: Holder = { host: os.hostname(), boot: bootId(), pid: process.pid, started: startTime(process.pid), description };
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Complete before it is visible: a reader never sees half a holder.
    fs.writeFileSync(`${own}.part`, JSON.stringify(self), { flag: 'wx', mode: 0o600 });
    fs.renameSync(`${own}.part`, own);
  } catch (error) {
    throw new ToolError(`Take lock '${directory}': ${(error as { code?: string }).code ?? 'UNKNOWN'}`, { errno: (error as { code?: string }).code }, error);
  }
  const release = async (): Promise<void> => { fs.rmSync(own, { force: true }); };
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name);
    if (file === own || !name.endsWith('.json')) continue;
    const holder = parseHolder(file);
    if (holder === undefined && !fs.existsSync(file)) continue;
    if (holder !== undefined && !isAlive(holder)) {
      fs.rmSync(file, { force: true });
      continue;
    }
    await release();
    const who = holder === undefined ? 'an unreadable lock file' : `process ${holder.pid} on '${holder.host}' (${holder.description})`;
    throw new BusyError(`Take lock '${directory}': held by ${who}; if that process is surely gone, remove '${file}'`, { file });
  }
  return { release };
}

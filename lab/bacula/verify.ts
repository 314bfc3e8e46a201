/** Bacula's Verify jobs on volumes of a mount: each must find what is equal equal, and what was changed on disk or on the volume different. */
import { appendFileSync, closeSync, openSync, readSync, statSync, truncateSync, utimesSync, writeSync } from 'node:fs';
import type { Checks } from '../checks.ts';
import { renderResource } from './config.ts';
import type { BaculaServer, JobRow, VerifyLevel } from './server.ts';

const DAMAGE_BYTES = 4096;

function nameOf(level: VerifyLevel): string {
  return `verify-${level === 'InitCatalog' ? 'Catalog' : level}`.toLowerCase();
}

/** Verify jobs of every level for the director's file, which compare with the last backup of `job`. */
export function verifyJobs(job: string, device: string): string {
  const levels = ['Catalog', 'VolumeToCatalog', 'DiskToCatalog', 'Data'] as const;
  return levels.map((level) => renderResource({
    kind: 'Job',
    directives: {
      Name: nameOf(level), Type: 'Verify', Level: level, Client: 'live-fd', FileSet: job, Pool: job, Storage: device, Messages: 'Standard', VerifyJob: job,
    },
  })).join('');
}

/** See the module's comment. */
export class Verifier {
  readonly #server: BaculaServer;
  readonly #checks: Checks;

  constructor(server: BaculaServer, checks: Checks) {
    this.#server = server;
    this.#checks = checks;
  }

  /** `volume` holds the last backup, `file` is one of its files and nothing on disk has changed since; both are as before afterwards. */
  async run(volume: string, file: string): Promise<void> {
    await this.#equal('InitCatalog');
    for (const level of ['Catalog', 'DiskToCatalog', 'VolumeToCatalog', 'Data'] as const) await this.#equal(level);
    const { size, atime, mtime } = statSync(file);
    appendFileSync(file, 'changed');
    for (const level of ['Catalog', 'DiskToCatalog'] as const) await this.#different(level, 'a file has changed');
    truncateSync(file, size);
    utimesSync(file, atime, mtime);
    const undo = damage(volume);
    for (const level of ['VolumeToCatalog', 'Data'] as const) await this.#different(level, 'the volume has changed');
    undo();
    await this.#equal('VolumeToCatalog');
  }

  async #verify(level: VerifyLevel): Promise<{ readonly row: JobRow; readonly log: string }> {
    const row = await this.#server.runVerify(nameOf(level), level);
    return { row, log: this.#server.logOf(row.id).slice(-1500) };
  }

  async #equal(level: VerifyLevel): Promise<void> {
    const { row, log } = await this.#verify(level);
    this.#checks.expect(`Verify ${level}: equal (${row.files} files)`, row.status === 'T' && row.errors === 0 && row.files > 0, `${JSON.stringify(row)}\n${log}`);
  }

  async #different(level: VerifyLevel, what: string): Promise<void> {
    const { row, log } = await this.#verify(level);
    this.#checks.expect(`Verify ${level}: ${what}, and it says so ('${row.status}')`, row.status !== 'T' || row.errors > 0, `${JSON.stringify(row)}\n${log}`);
  }
}

/** Writes over a piece of a file, in the last backup. @returns what puts it back */
function damage(volume: string): () => void {
  const at = statSync(volume).size - 40 * DAMAGE_BYTES;
  const handle = openSync(volume, 'r+');
  const before = Buffer.alloc(DAMAGE_BYTES);
  readSync(handle, before, 0, DAMAGE_BYTES, at);
  writeSync(handle, before.map((byte) => byte ^ 0x55), 0, DAMAGE_BYTES, at);
  closeSync(handle);
  return () => {
    const again = openSync(volume, 'r+');
    writeSync(again, before, 0, DAMAGE_BYTES, at);
    closeSync(again);
  };
}

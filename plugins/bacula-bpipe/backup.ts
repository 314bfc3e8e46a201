/** The reader: stores files or a stream, and hands Bacula the receipt. */
import type { SnapshotStore } from '../../src/engine/index.ts';
import { storeSources } from '../../src/services/backup.ts';
import { openSources, type Sources } from '../../src/services/index.ts';
import { Ledger, type JobNotes } from './ledger.ts';
import { encodeReceipt, receiptOf, type Receipt } from './receipt.ts';
import type { Settings } from './settings.ts';
import { spoolStream } from './spool.ts';
import { withStore } from './store.ts';

/** What to store: paths, or a stream from stdin or a command under a name. */
export type Wanted = { readonly paths: readonly string[] } | { readonly stream: string; readonly command?: string };

/** What a process of ours says, and where. */
export interface Voices {
  readonly signal: AbortSignal;
  warn(line: string): void;
}

async function sourcesOf(wanted: Wanted, store: SnapshotStore, settings: Settings, { signal, warn }: Voices): Promise<Sources> {
  if ('stream' in wanted) {
    const { tree, close } = await spoolStream(wanted.stream, wanted.command, signal);
    // Its command ended well: the stream is there, even an empty one.
    const look = (): ReturnType<Sources['look']> => Promise.resolve({ found: true, others: 0, failures: 0 });
    return { tree, names: [wanted.stream], errors: () => [], unmatched: () => [], look, close };
  }
  const { exclude, oneFileSystem } = settings;
  return openSources(wanted.paths, { exclude, oneFileSystem, signal, onNote: warn, ...(store.directory === undefined ? {} : { repositoryDirectory: store.directory }) });
}

const MISSING_SHOWN = 10;

/** Resolves when Bacula's pipe took all bytes. @throws {Error} EPIPE: Bacula has gone. */
function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', reject);
    process.stdout.write(bytes, (error) => { if (error === null || error === undefined) resolve(); else reject(error); });
  });
}

/** @returns the receipt, and what the snapshot lacks. */
async function store(wanted: Wanted, settings: Settings, notes: JobNotes | undefined, voices: Voices): Promise<{ readonly receipt: Receipt; readonly missing: readonly string[] }> {
  return withStore(settings, 'write', async (repository) => {
    const sources = await sourcesOf(wanted, repository, settings, voices);
    try {
      const { signal } = voices;
      const tags = [...settings.tags, 'bacula-bpipe', ...(notes === undefined ? [] : [`bacula-job:${notes.job}`])];
      const { snapshot, errors } = await storeSources(repository, sources, { tags, signal, ...(settings.host === undefined ? {} : { host: settings.host }) });
      // Read back: the receipt says what the repository says, not what this process believes.
      const receipt = receiptOf(repository.id, 'stream' in wanted ? 'stream' : 'tree', await repository.resolveSnapshot(snapshot));
      return { receipt, missing: errors.map((error) => `'${error.path}': ${error.message}`) };
    } finally {
      await sources.close();
    }
  });
}

/**
 * Stores what is wanted; when it is durable, its receipt goes to stdout. Of an incomplete backup too, which can be restored but is reported as failed.
 * @returns the exit code: 0, or 3 for an incomplete backup. @throws when there is no backup: stdout got no byte then, or Bacula has gone.
 */
export async function backup(wanted: Wanted, settings: Settings, voices: Voices): Promise<0 | 3> {
  // Taken now: a reader that outlives its job must not count for the next one.
  const notes = new Ledger(settings.state).current();
  try {
    const { receipt, missing } = await store(wanted, settings, notes, voices);
    const bytes = encodeReceipt(receipt);
    await writeOut(bytes);
    notes?.receipt(bytes);
    if (missing.length === 0) return 0;
    for (const line of missing) voices.warn(line);
    notes?.failure(`snapshot ${receipt.snapshot} is incomplete: ${missing.slice(0, MISSING_SHOWN).join('; ')}${missing.length > MISSING_SHOWN ? `; and ${missing.length - MISSING_SHOWN} more` : ''}`);
    return 3;
  } catch (error) {
    notes?.failure(`nothing was stored: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  }
}

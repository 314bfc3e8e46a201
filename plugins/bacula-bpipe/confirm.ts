/** After a job, on the client: whether Bacula's "OK" is true. Its exit code decides the job's status, see `README.md`. */
import { IntegrityError, splitPath, utf8, type FileTree, type NodeId } from '../../src/core/index.ts';
import type { Voices } from './backup.ts';
import { Ledger } from './ledger.ts';
import { decodeReceipt, type Receipt } from './receipt.ts';
import type { Settings } from './settings.ts';
import { openReceipt, withStore } from './store.ts';

/** What Bacula says about its job. */
export interface JobClaim {
  /** `%j` */
  readonly job: string;
  /** How many plugin lines of the FileSet are ours. */
  readonly receipts: number;
  /** `%b`: bytes that the client has sent; at least the receipts. */
  readonly bytes: number;
}

async function demandSources(tree: FileTree, receipt: Receipt): Promise<void> {
  for (const source of receipt.sources) {
    let id: NodeId | undefined = tree.rootId;
    for (const name of splitPath(utf8(source))) id = id === undefined ? undefined : await tree.lookup(id, name);
    if (id === undefined) throw new IntegrityError(`Confirm snapshot '${receipt.snapshot}': it does not hold '${source}'`);
    await tree.stat(id);
  }
}

/** @throws {IntegrityError} and others: the job must not count as good. */
export async function confirm(claim: JobClaim, settings: Settings, { warn }: Pick<Voices, 'warn'>): Promise<void> {
  const notes = new Ledger(settings.state).of(claim.job);
  const [failure, ...more] = notes.failures();
  if (failure !== undefined) throw new IntegrityError(`Confirm job '${claim.job}': ${[failure, ...more].join('; ')}`);
  const found = notes.receipts();
  if (found.length !== claim.receipts) throw new IntegrityError(`Confirm job '${claim.job}': '${found.length}' backups were made, expected '${claim.receipts}'`);
  const bytes = found.reduce((sum, receipt) => sum + receipt.length, 0);
  if (claim.bytes < bytes) throw new IntegrityError(`Confirm job '${claim.job}': Bacula has '${claim.bytes}' bytes, the receipts alone are '${bytes}'`);
  await withStore(settings, 'read', async (store) => {
    for (const one of found) {
      const receipt = decodeReceipt(one);
      await demandSources(await openReceipt(store, receipt), receipt);
      warn(`confirmed snapshot ${receipt.snapshot}: ${receipt.files} files, ${receipt.bytes} bytes of '${receipt.sources.join("' '")}'`);
    }
  });
}

/** Before a job, on the client: the repository can be opened, and what the readers do from now on is noted under the job's name. */
export async function begin(job: string, settings: Settings): Promise<void> {
  await withStore(settings, 'write', (store) => store.snapshots(() => undefined));
  new Ledger(settings.state).begin(job);
}

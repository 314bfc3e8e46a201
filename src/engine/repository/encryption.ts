/** Whether and how a repository is opened with keys. */
import { UsageError } from '../../core/index.ts';
import { Vault, type Credential, type KeyPlace, type RotationOptions, type RotationReport, type SlotRequest, type SlotRow } from '../crypto/index.ts';
import type { RepositoryChoices, RepositoryConfig } from './config.ts';

/** Makes the keys of a new repository, if it is to be encrypted. Durable on resolve; the config follows. */
export async function createVault(place: KeyPlace, config: RepositoryConfig, { encryption }: RepositoryChoices): Promise<void> {
  const [first, ...others] = encryption?.slots ?? [];
  if (config.encryption === 'none' || first === undefined) return;
  (await Vault.create(place, [first, ...others], config.encryption)).close();
}

/**
 * The keys of a repository; undefined when it is not encrypted. Who gives a credential expects an encrypted one: if it is not, someone may have put
 * another config there to have everything stored in the clear.
 * @throws {UsageError} no credential, none that opens, or one for a repository that is not encrypted. @throws {IntegrityError} as `openKeys`.
 */
export async function openVault(place: KeyPlace, config: RepositoryConfig, credentials: readonly Credential[]): Promise<Vault | undefined> {
  if (config.encryption !== 'none') return Vault.open(place, credentials);
  if (credentials.length === 0) return undefined;
  throw new UsageError(`Open repository in '${place.objects.place}' without a key: it is not encrypted, and what is stored in it can be read by whoever reads the place`);
}

/** The keys of a repository, opened to be changed: without its index, its threads and its snapshots. Close it. */
export class RepositoryKeys {
  readonly #vault: Vault;
  readonly #release: () => Promise<void>;

  /** `release` is called by `close`. */
  constructor(vault: Vault, release: () => Promise<void>) {
    this.#vault = vault;
    this.#release = release;
  }

  /** Id of the slot that opened. */
  get slot(): string {
    return this.#vault.slot;
  }

  /** A slot for another credential. Durable on resolve. @throws as `addSlot`. */
  add(request: SlotRequest): Promise<SlotRow> {
    return this.#vault.addSlot(request);
  }

  /** Durable on resolve. @throws {UsageError} no such slot, the last one, or the one that opened. @throws {BusyError} */
  remove(id: string): Promise<void> {
    return this.#vault.removeSlot(id);
  }

  /** A new data key for what is written from now on; see `rotateKeys`. */
  rotate(options: RotationOptions = {}): Promise<RotationReport> {
    return this.#vault.rotate(options);
  }

  async close(): Promise<void> {
    this.#vault.close();
    await this.#release();
  }
}

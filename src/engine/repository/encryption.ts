/** Whether and how a repository is opened with keys. */
import { HoldfastError, IntegrityError, NotFoundError, UsageError, type ObjectStore } from '../../core/index.ts';
import { containerPath, listContainers, numberBytes, readContainerHeader, readSealing } from '../containers/container.ts';
import { Vault, type Credential, type KeyPlace, type RotationOptions, type RotationReport, type SlotRequest, type SlotRow } from '../crypto/index.ts';
import { hasObject } from '../objects/index.ts';
import { PARITY_DIRECTORY } from '../parity/index.ts';
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

/** Where key objects are. */
const KEYS_DIRECTORY = 'keys';
/** Containers whose keys are looked for when a writer opens: a key that is lost shows in what was stored last. */
const CONTAINERS_TRIED = 4;

/**
 * Refuses to write with an old key ring: what is sealed with it could be read by those from whom a rotation took the keys, and nobody would miss the newest ring any more.
 * A ring that is lost shows in its sidecar, which is left, or in the newest containers, whose data key nobody has.
 * @throws {IntegrityError} the newest ring is lost.
 */
export async function checkNewestRing(vault: Vault, objects: ObjectStore): Promise<void> {
  const refuse = (why: string, cause?: unknown): IntegrityError =>
    new IntegrityError(`Open repository in '${objects.place}' for writing: its newest key ring is lost: ${why}. 'check --repair' can make it again where its parity is left; reading goes on`, {}, cause);
  const names = new Set<string>();
  for (const directory of [KEYS_DIRECTORY, `${PARITY_DIRECTORY}/${KEYS_DIRECTORY}`]) for await (const page of objects.list(directory)) for (const { name } of page) names.add(name);
  for (const name of names) {
    const lost = name.slice(PARITY_DIRECTORY.length + 1);
    if (name.startsWith(`${PARITY_DIRECTORY}/${KEYS_DIRECTORY}/ring-`) && !names.has(lost) && !(await hasObject(objects, lost)) && await hasObject(objects, name)) throw refuse(`'${lost}' is gone and its parity is there`);
  }
  const newest = [...await listContainers(objects)].sort((a, b) => b.modified - a.modified).slice(0, CONTAINERS_TRIED);
  for (const { number } of newest) {
    try {
      const file = await objects.open(containerPath(number));
      try {
        await readContainerHeader(file, number);
        await vault.containerKey(await readSealing(file), numberBytes(number));
      } finally {
        await file.close();
      }
    } catch (error) {
      if (error instanceof NotFoundError && error.data['dataKey'] === undefined) continue; // removed meanwhile
      if (error instanceof NotFoundError || error instanceof IntegrityError) throw refuse(`container '${number.text}' needs a data key that no ring has (${error.message})`, error);
      if (!(error instanceof HoldfastError || error instanceof RangeError) || (error instanceof HoldfastError && error.code === 'TOOL')) throw error; // a damaged head says nothing: check names it
    }
  }
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

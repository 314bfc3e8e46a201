/**
 * The opened keys of a repository, in memory. Secrets are in private fields: neither JSON, nor logs, nor `util.inspect` show them.
 */
import assert from 'node:assert';
import { NotFoundError, UsageError } from '../../core/index.ts';
import type { CipherName } from './aead.ts';
import { deriveKey } from './kdf.ts';
import type { DataKey, RingContent } from './ring.ts';
import { rootIdOf } from './slot.ts';

/** A key for one container or object, and the cipher that it is for. */
export interface CipherKey {
  readonly cipher: CipherName;
  readonly key: Uint8Array;
}

/** What `Keys` were opened from. */
export interface OpenedKeys {
  /** Repository, 64 hexadecimal digits. */
  readonly repository: string;
  /** Id of the slot that opened. */
  readonly slot: string;
  readonly root: Uint8Array;
  readonly ring: number;
  readonly content: RingContent;
}

/** See the file's header. Opened by `openKeys`, closed by its user. */
export class Keys {
  readonly repository: string;
  #opened: OpenedKeys | undefined;

  /** The buffers belong to the new object. */
  constructor(opened: OpenedKeys) {
    this.repository = opened.repository;
    this.#opened = opened;
  }

  /** Id of the slot that opened. */
  get slot(): string {
    return this.#live().slot;
  }

  /** Number of the ring that these keys are from. */
  get ring(): number {
    return this.#live().ring;
  }

  /** Numbers of the data keys, ascending; the last is for what is written. */
  get dataKeys(): readonly number[] {
    return this.#live().content.dataKeys.map(({ number }) => number);
  }

  /** Number and cipher for what is written from now on. */
  get newest(): { readonly number: number; readonly cipher: CipherName } {
    const { number, cipher } = this.#live().content.dataKeys.at(-1) as DataKey; // a ring has at least one
    return { number, cipher };
  }

  /** Key of chunk ids, 32 bytes; only read. */
  get idKey(): Uint8Array {
    return this.#live().content.idKey;
  }

  /** Public name of the root key. */
  get rootId(): string {
    return rootIdOf(this.#live().root);
  }

  /** The root key, for who seals slots and rings; only read. */
  get root(): Uint8Array {
    return this.#live().root;
  }

  /** What the ring holds, for who makes the next one; only read. */
  get content(): RingContent {
    return this.#live().content;
  }

  /**
   * The key of one container: `number` are the 8 bytes that name it, `salt` the 32 random bytes in its head.
   * @throws {NotFoundError} no such data key: another process rotated keys since these were opened.
   */
  containerKey(dataKey: number, salt: Uint8Array, number: Uint8Array): CipherKey {
    const { cipher, key } = this.#dataKey(dataKey);
    return { cipher, key: deriveKey(key, salt, 'container', { context: number }) };
  }

  /** The key of one sealed object. @throws {NotFoundError} as {@link containerKey}. */
  objectKey(dataKey: number, salt: Uint8Array): CipherKey {
    const { cipher, key } = this.#dataKey(dataKey);
    return { cipher, key: deriveKey(key, salt, 'object') };
  }

  /** Takes over what another ring (or slot, or root key) holds; earlier buffers are overwritten. */
  adopt(opened: Omit<OpenedKeys, 'repository'>): void {
    const before = this.#live();
    this.#opened = { ...opened, repository: this.repository };
    if (opened.root !== before.root) before.root.fill(0);
    if (opened.content !== before.content) wipe(before.content);
  }

  /** Overwrites all keys; any use afterwards is a programmer's error. Keys derived earlier are their holders'. */
  close(): void {
    if (this.#opened === undefined) return;
    this.#opened.root.fill(0);
    wipe(this.#opened.content);
    this.#opened = undefined;
  }

  /** What may be shown. */
  toJSON(): object {
    return { repository: this.repository, open: this.#opened !== undefined };
  }

  #live(): OpenedKeys {
    assert(this.#opened !== undefined, 'the keys are open');
    return this.#opened;
  }

  #dataKey(number: number): DataKey {
    const found = this.#live().content.dataKeys.find((one) => one.number === number);
    if (found === undefined) throw new NotFoundError(`Find data key '${number}': key ring '${this.ring}' has '${this.dataKeys.join(', ')}'`, { dataKey: number });
    return found;
  }
}

function wipe({ idKey, dataKeys }: RingContent): void {
  idKey.fill(0);
  for (const { key } of dataKeys) key.fill(0);
}

/** Checks a cipher's name from outside. @throws {UsageError} */
export function checkCipher(name: string): CipherName {
  if (name === 'aes-256-gcm' || name === 'chacha20-poly1305') return name;
  throw new UsageError(`Choose a cipher of 'aes-256-gcm', 'chacha20-poly1305': found '${name}'`);
}

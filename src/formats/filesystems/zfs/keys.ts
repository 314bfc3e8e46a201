/**
 * Keys of encrypted datasets: which of the user's keys opens the master key that is stored with a dataset.
 * Source: OpenZFS `include/sys/dsl_crypt.h` (names), `module/zfs/dsl_crypt.c`, `lib/libzfs/libzfs_crypto.c` (comments), RFC 8018 (PBKDF2).
 */
import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { FormatError, LimitError, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import type { FilesystemContext } from '../filesystem.ts';
import type { BlockCipher } from './block-reader.ts';
import { DatasetCipher, type DatasetKeys, unseal } from './cipher.ts';
import type { ObjectSet } from './object-set.ts';
import { viewOf } from './words.ts';
import { Zap } from './zap.ts';

const derive = promisify(pbkdf2);

/** `zio_encrypt`: mode and bytes of the key. */
const suites: ReadonlyMap<number, { readonly mode: DatasetKeys['mode']; readonly keyBytes: number }> = new Map([
  [3, { mode: 'ccm', keyBytes: 16 }], [4, { mode: 'ccm', keyBytes: 24 }], [5, { mode: 'ccm', keyBytes: 32 }],
  [6, { mode: 'gcm', keyBytes: 16 }], [7, { mode: 'gcm', keyBytes: 24 }], [8, { mode: 'gcm', keyBytes: 32 }],
]);

/** `zfs_keyformat`. */
const formats = { raw: 1, hex: 2, passphrase: 3 } as const;
const WRAPPING_BYTES = 32;
const HMAC_BYTES = 64;
/** Bytes that one round of PBKDF2 with HMAC-SHA1 passes through for 32 bytes of key: two blocks, four compressions. */
const ROUND_BYTES = 256;

/** What is stored with a dataset. */
interface WrappedKeys {
  readonly suite: number;
  readonly guid: Uint8Array;
  readonly version: number;
  readonly iv: Uint8Array;
  readonly mac: Uint8Array;
  readonly master: Uint8Array;
  readonly hmac: Uint8Array;
  readonly format: number;
  readonly rounds: number;
  readonly salt: Uint8Array;
}

async function bytesOf(zap: Zap, name: string, length: number): Promise<Uint8Array> {
  const entry = await zap.find(utf8(name));
  if (entry === undefined || entry.value.length < length) throw new FormatError('Read keys of ZFS dataset', { structure: 'dsl_crypto_key', field: name, found: entry?.value.length ?? 'nothing', expected: `${length} bytes` });
  return entry.value.subarray(0, length);
}

/** A word as it stands on little-endian disks: what MACs and salts are made of. */
async function wordOf(zap: Zap, name: string): Promise<Uint8Array> {
  const entry = await zap.find(utf8(name));
  const word = new Uint8Array(8);
  viewOf(word).setUint32(0, entry?.low ?? 0, true);
  viewOf(word).setUint32(4, entry?.high ?? 0, true);
  return word;
}

async function readWrapped(meta: ObjectSet, object: number): Promise<WrappedKeys> {
  const zap = await Zap.open(await meta.object(object));
  return {
    suite: await zap.required('DSL_CRYPTO_SUITE'), guid: await wordOf(zap, 'DSL_CRYPTO_GUID'), version: await zap.number('DSL_CRYPTO_VERSION') ?? 0,
    iv: await bytesOf(zap, 'DSL_CRYPTO_IV', 12), mac: await bytesOf(zap, 'DSL_CRYPTO_MAC', 16),
    master: await bytesOf(zap, 'DSL_CRYPTO_MASTER_KEY_1', WRAPPING_BYTES), hmac: await bytesOf(zap, 'DSL_CRYPTO_HMAC_KEY_1', HMAC_BYTES),
    format: await zap.number('keyformat') ?? 0, rounds: await zap.number('pbkdf2iters') ?? 0, salt: await wordOf(zap, 'pbkdf2salt'),
  };
}

/** The key that a dataset's keys are wrapped with, if the user's `key` has the right form. */
async function wrappingKey(wrapped: WrappedKeys, key: Uint8Array, roundsMax: number): Promise<Uint8Array | undefined> {
  switch (wrapped.format) {
    case formats.raw: return key.length === WRAPPING_BYTES ? key : undefined;
    case formats.hex: {
      const text = textOf(key).trim();
      return /^[0-9a-f]{64}$/i.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined;
    }
    case formats.passphrase: {
      if (wrapped.rounds > roundsMax) throw new LimitError('volumeKdfWorkBytesMax', wrapped.rounds * ROUND_BYTES, roundsMax * ROUND_BYTES, 'passphrase of a ZFS dataset');
      if (wrapped.rounds < 1) return undefined;
      // A key file ends with a line feed that is no part of the passphrase.
      const text = key.at(-1) === 0x0a ? key.subarray(0, -1) : key;
      return derive(text, wrapped.salt, wrapped.rounds, WRAPPING_BYTES, 'sha1');
    }
    default: throw new UnsupportedError(`Open encrypted ZFS dataset: key format '${wrapped.format}' is not supported`, { keyformat: wrapped.format });
  }
}

/** The dataset's keys; undefined when `wrapping` is not the right key. */
function unwrap(wrapped: WrappedKeys, wrapping: Uint8Array): DatasetKeys | undefined {
  const suite = suites.get(wrapped.suite);
  if (suite === undefined || wrapped.version > 1) throw new UnsupportedError(`Open encrypted ZFS dataset: suite '${wrapped.suite}' of version '${wrapped.version}' is not supported`, { suite: wrapped.suite, version: wrapped.version });
  const plain = new Uint8Array(wrapped.version === 0 ? 8 : 24);
  plain.set(wrapped.guid);
  if (wrapped.version > 0) {
    plain[8] = wrapped.suite;
    plain[16] = wrapped.version;
  }
  const sealed = Buffer.concat([wrapped.master.subarray(0, suite.keyBytes), wrapped.hmac]);
  const opened = unseal(suite.mode, { key: wrapping, iv: wrapped.iv, mac: wrapped.mac, plain }, sealed);
  return opened === undefined ? undefined : { mode: suite.mode, master: opened.subarray(0, suite.keyBytes), hmac: opened.subarray(suite.keyBytes), version: wrapped.version };
}

/** Finds the key of each dataset among the user's. */
export class KeyRing {
  readonly #meta: ObjectSet;
  readonly #keys: readonly Uint8Array[];
  readonly #roundsMax: number;
  /** Ciphers by object: a dataset and its snapshots share one. */
  readonly #ciphers = new Map<number, DatasetCipher>();

  constructor(meta: ObjectSet, context: FilesystemContext) {
    this.#meta = meta;
    this.#keys = context.keys ?? [];
    this.#roundsMax = Math.floor(context.limits.volumeKdfWorkBytesMax / ROUND_BYTES);
  }

  /** What opens the blocks of `dataset`, whose keys are in `object`. @throws {UnsupportedError} no key, or none that fits. */
  async cipher(object: number, dataset: string): Promise<BlockCipher> {
    const known = this.#ciphers.get(object);
    if (known !== undefined) return known;
    if (this.#keys.length === 0) throw new UnsupportedError(`Open ZFS dataset '${dataset}': it is encrypted, give its key`, { dataset });
    const wrapped = await readWrapped(this.#meta, object);
    for (const key of this.#keys) {
      const wrapping = await wrappingKey(wrapped, key, this.#roundsMax);
      const keys = wrapping === undefined ? undefined : unwrap(wrapped, wrapping);
      if (keys === undefined) continue;
      const cipher = new DatasetCipher(keys);
      this.#ciphers.set(object, cipher);
      return cipher;
    }
    throw new UnsupportedError(`Open ZFS dataset '${dataset}': none of the '${this.#keys.length}' keys opens it`, { dataset });
  }
}

/** What a LUKS header of either version says. */

/** How a passphrase becomes the key of a slot. */
export type LuksKdf =
  | { readonly type: 'pbkdf2'; readonly hash: string; readonly iterations: number; readonly salt: Uint8Array }
  | { readonly type: 'argon2i' | 'argon2id'; readonly time: number; readonly memoryKib: number; readonly cpus: number; readonly salt: Uint8Array };

/** A key slot in use. */
export interface LuksSlot {
  readonly id: string;
  /** Bytes of the volume key. */
  readonly keyBytes: number;
  readonly kdf: LuksKdf;
  readonly stripes: number;
  readonly stripeHash: string;
  /** Where the split key is, and how it is encrypted; bytes. */
  readonly area: { readonly offset: number; readonly encryption: string; readonly keyBytes: number };
}

/** What tells the right volume key from a wrong one. */
export interface LuksDigest {
  readonly hash: string;
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly digest: Uint8Array;
  readonly slots: readonly string[];
}

/** The header. */
export interface LuksHeader {
  readonly version: 1 | 2;
  readonly uuid: string;
  readonly label?: string;
  readonly slots: readonly LuksSlot[];
  readonly digest: LuksDigest;
  /** The encrypted bytes; `length` undefined: up to the end of the disk. */
  readonly segment: { readonly offset: number; readonly length?: number; readonly ivTweak: number; readonly encryption: string; readonly sectorBytes: number };
  readonly remarks: readonly string[];
}

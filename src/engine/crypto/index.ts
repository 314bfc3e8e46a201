/** Encryption: ciphers, derivations, keys of a repository, sealed groups and objects. */
export { cipherNames, type CipherName } from './aead.ts';
export { keyCredential, passphraseCredential, type Credential, type CredentialKind } from './credential.ts';
export { GROUP_PADDED_BYTES_MIN, openGroup, sealGroup, sealedGroupBytes, sealedGroupBytesMax } from './group-seal.ts';
export type { GroupContent, GroupExpectation, GroupKey } from './group-seal.ts';
export { addSlot, createKeys, listSlots, openKeys, refreshKeys, removeSlot, rotateKeys } from './key-store.ts';
export type { RotationOptions, RotationReport, SlotRow } from './key-store.ts';
export { KEYS_DIRECTORY, type KeyPlace, type KeyProblem } from './key-survey.ts';
export { checkCipher, Keys, type CipherKey } from './keys.ts';
export { SALT_BYTES, defaultScryptCost, type ScryptCost } from './kdf.ts';
export { isSealedObject, openObject, sealObject } from './object-seal.ts';
export { padme } from './padme.ts';
export { SealedObjects } from './sealed-objects.ts';
export type { SlotRequest } from './slot.ts';
export { Vault, type NewContainerKey } from './vault.ts';

/** Noise handshakes: two patterns with pre-shared keys, and the ciphers that they end in. */
export { CipherState, KEY_BYTES, TAG_BYTES } from './cipher-state.ts';
export { Handshake, messageBytes, type HandshakeOptions, type HandshakeResult } from './handshake.ts';
export { IKpsk2, NNpsk0, type Pattern } from './patterns.ts';
export { DH_BYTES, generateKeyPair, keyPairOf, type KeyPair } from './x25519.ts';

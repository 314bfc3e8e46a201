/** Noise HandshakeState for patterns with a pre-shared key. Source: The Noise Protocol Framework, revision 34, sections 5.3 and 9. */
import assert from 'node:assert';
import type { KeyObject } from 'node:crypto';
import { ProtocolError } from '../../../core/index.ts';
import { KEY_BYTES, TAG_BYTES, type CipherState } from './cipher-state.ts';
import type { Pattern, Token } from './patterns.ts';
import { SymmetricState } from './symmetric-state.ts';
import { DH_BYTES, generateKeyPair, importPublicKey, sharedSecret, type KeyPair } from './x25519.ts';

const EMPTY = new Uint8Array(0);

/** What one end brings. Buffers are only read. */
export interface HandshakeOptions {
  readonly pattern: Pattern;
  readonly initiator: boolean;
  /** Both ends must have the same. */
  readonly prologue: Uint8Array;
  /** 32 bytes; one that is not known yet may follow by {@link Handshake.setPsk}. */
  readonly psk?: Uint8Array;
  /** Our own static key, where the pattern has one. */
  readonly identity?: KeyPair;
  /** The responder's static key, where the initiator knows it. */
  readonly remoteKey?: Uint8Array;
  /** For published vectors only: a handshake makes its own. */
  readonly ephemeral?: KeyPair;
}

/** Keys of an agreed connection. */
export interface HandshakeResult {
  readonly send: CipherState;
  readonly receive: CipherState;
  /** 32 bytes, the same on both ends and for no other handshake. */
  readonly handshakeHash: Uint8Array;
}

/** One end of a handshake: `write` and `read` in turns as the pattern says, then `finish`. After an error it is dead. */
export class Handshake {
  readonly #state: SymmetricState;
  readonly #options: HandshakeOptions;
  #psk: Uint8Array | undefined;
  #ephemeral: KeyPair | undefined;
  #remoteEphemeral: KeyObject | undefined;
  #remoteStatic: KeyObject | undefined;
  #remoteKey: Uint8Array | undefined;
  #next = 0;

  constructor(options: HandshakeOptions) {
    const { pattern, initiator, identity, remoteKey } = options;
    this.#options = options;
    this.#state = new SymmetricState(`Noise_${pattern.name}_25519_ChaChaPoly_SHA256`);
    this.#state.mixHash(options.prologue);
    if (options.psk !== undefined) this.setPsk(options.psk);
    if (!pattern.responderKnown) return;
    const known = initiator ? remoteKey : identity?.publicKey;
    assert(known !== undefined && identity !== undefined, 'this pattern needs static keys');
    assert(known.length === DH_BYTES, 'a public key has 32 bytes');
    this.#state.mixHash(known);
    if (initiator) this.#setRemoteKey(known);
  }

  /** The static key of the peer, once it is known. */
  get remoteKey(): Uint8Array | undefined {
    return this.#remoteKey;
  }

  /** Sets the pre-shared key before the message that needs it. Copied, and overwritten by {@link destroy}. */
  setPsk(psk: Uint8Array): void {
    assert(psk.length === KEY_BYTES, 'a pre-shared key has 32 bytes');
    this.#psk = Uint8Array.from(psk); // `slice` of a Buffer would be the same memory
  }

  /** Our next message with its payload. */
  write(payload: Uint8Array = EMPTY): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const token of this.#nextMessage(true)) {
      if (token === 'e') {
        this.#ephemeral = this.#options.ephemeral ?? generateKeyPair();
        parts.push(this.#ephemeral.publicKey);
        this.#mixEphemeral(this.#ephemeral.publicKey);
      } else if (token === 's') {
        assert(this.#options.identity !== undefined, 'this pattern needs a static key');
        parts.push(this.#state.encryptAndHash(this.#options.identity.publicKey));
      } else {
        this.#mix(token);
      }
    }
    parts.push(this.#state.encryptAndHash(payload));
    return Buffer.concat(parts);
  }

  /**
   * The payload of the peer's next message, all of which `message` is.
   * @throws {ProtocolError} too short, other keys, changed on the way, or a public key of low order.
   */
  read(message: Uint8Array): Uint8Array {
    let at = 0;
    const take = (length: number): Uint8Array => {
      const taken = message.subarray(at, at + length);
      if (taken.length < length) throw new ProtocolError(`Agree on keys: a message of the handshake has '${message.length}' bytes, expected more`);
      at += length;
      return taken;
    };
    for (const token of this.#nextMessage(false)) {
      if (token === 'e') {
        const remote = take(DH_BYTES);
        this.#remoteEphemeral = importPublicKey(remote);
        this.#mixEphemeral(remote);
      } else if (token === 's') {
        this.#setRemoteKey(this.#state.decryptAndHash(take(this.#state.sealedBytes(DH_BYTES))));
      } else {
        this.#mix(token);
      }
    }
    return this.#state.decryptAndHash(message.subarray(at));
  }

  /** Keys of the connection, after the last message; what led to them is overwritten. */
  finish(): HandshakeResult {
    assert(this.#next === this.#options.pattern.messages.length, 'the handshake is complete');
    const handshakeHash = this.#state.handshakeHash;
    const [first, second] = this.#state.split();
    this.destroy();
    return this.#options.initiator ? { send: first, receive: second, handshakeHash } : { send: second, receive: first, handshakeHash };
  }

  /** Overwrites what is secret; for handshakes that end early. */
  destroy(): void {
    this.#state.destroy();
    this.#psk?.fill(0);
    this.#ephemeral = undefined;
  }

  #setRemoteKey(publicKey: Uint8Array): void {
    this.#remoteKey = Uint8Array.from(publicKey);
    this.#remoteStatic = importPublicKey(publicKey);
  }

  #nextMessage(ours: boolean): readonly Token[] {
    const tokens = this.#options.pattern.messages[this.#next];
    assert(tokens !== undefined && (this.#next % 2 === 0) === (ours === this.#options.initiator), 'messages go in turns');
    this.#next += 1;
    return tokens;
  }

  /** A psk needs each ephemeral key in the chaining key too: section 9.2. */
  #mixEphemeral(publicKey: Uint8Array): void {
    this.#state.mixHash(publicKey);
    this.#state.mixKey(publicKey);
  }

  #mix(token: Exclude<Token, 'e' | 's'>): void {
    if (token === 'psk') {
      assert(this.#psk !== undefined, 'the pre-shared key is known before the message that needs it');
      this.#state.mixKeyAndHash(this.#psk);
      return;
    }
    // The first letter is the initiator's key, the second the responder's.
    const [initiators, responders] = token;
    const [ours, theirs] = this.#options.initiator ? [initiators, responders] : [responders, initiators];
    const pair = ours === 'e' ? this.#ephemeral : this.#options.identity;
    const remote = theirs === 'e' ? this.#remoteEphemeral : this.#remoteStatic;
    assert(pair !== undefined && remote !== undefined, 'a pattern names keys that are there');
    const secret = sharedSecret(pair.privateKey, remote);
    this.#state.mixKey(secret);
    secret.fill(0);
  }
}

/** Bytes of a message of a pattern with an empty payload: every message of ours. */
export function messageBytes(pattern: Pattern, index: number): number {
  const tokens = pattern.messages[index] ?? [];
  return tokens.reduce((sum, token) => sum + (token === 'e' ? DH_BYTES : token === 's' ? DH_BYTES + TAG_BYTES : 0), TAG_BYTES);
}

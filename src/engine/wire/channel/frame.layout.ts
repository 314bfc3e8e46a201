/** Head of a frame. Source: `docs/protocol.md`, section "Frames". */
import { MESSAGE_BYTES_MAX } from './channel.ts';
import { TAG_BYTES } from '../noise/index.ts';

/** Bytes of a head: kind, and how many bytes of ciphertext and tag follow as a big-endian number of three bytes. It is authenticated with the frame. */
export const HEAD_BYTES = 4;

/** What a frame is. Ends and keep-alives are empty. */
export const frameKinds = { message: 1, end: 2, keepAlive: 3 } as const;
/** One of {@link frameKinds}. */
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

/** Bytes of ciphertext and tag of the longest frame. */
export const SEALED_BYTES_MAX: number = MESSAGE_BYTES_MAX + TAG_BYTES;

/** Writes the head of a frame whose text has `length` bytes. */
export function writeHead(target: Uint8Array, kind: FrameKind, length: number): void {
  const sealed = length + TAG_BYTES;
  target[0] = kind;
  target[1] = sealed >>> 16;
  target[2] = sealed >>> 8;
  target[3] = sealed;
}

/** Kind and bytes of text that a head announces; undefined for one that nobody of ours sends. */
export function readHead(head: Uint8Array): { readonly kind: FrameKind; readonly length: number } | undefined {
  const [kind = 0, high = 0, middle = 0, low = 0] = head;
  const length = (high << 16 | middle << 8 | low) - TAG_BYTES;
  if (kind === frameKinds.message) return length >= 1 && length <= MESSAGE_BYTES_MAX ? { kind, length } : undefined;
  return (kind === frameKinds.end || kind === frameKinds.keepAlive) && length === 0 ? { kind, length } : undefined;
}

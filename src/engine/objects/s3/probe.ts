/**
 * Finds out what a bucket really does by trying it on a scratch object: stores exist that take `If-None-Match`, answer 200, and overwrite.
 * Where objects can be removed, nothing is left behind; where they can't, one object of a fixed name, whoever asks and how often.
 */
import { createHash } from 'node:crypto';
import { BusyError, ToolError, textOf, utf8, type ObjectStoreCapabilities } from '../../../core/index.ts';
import type { S3Body, S3Client, S3Request } from './client.ts';
import { openObject } from './download.ts';
import { listObjects } from './listing.ts';
import { createObject, TOKEN_HEADER } from './upload.ts';

/** Where scratch objects are; nothing else lives there. */
export const SCRATCH_DIRECTORY = 'scratch';

const CREATORS = 6;

function bodyOf(text: string): S3Body {
  const bytes = utf8(text);
  return { parts: [bytes], bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex') };
}

/** Whether an object of this name may be removed; asked with a name that does not exist. */
async function mayRemove(client: S3Client, name: string): Promise<boolean> {
  const request: S3Request = { method: 'DELETE', name };
  const outcome = await client.send(request);
  if (removed(outcome.status, outcome.code)) return true;
  if (refusesRemoval(outcome.status, outcome.code)) return false;
  throw client.failure(request, outcome);
}

/** Whether an answer to DELETE says that the object is gone or never was. */
export function removed(status: number, code: string): boolean {
  return status === 204 || status === 200 || status === 404 && code === 'NoSuchKey';
}

/** Whether an answer to DELETE says that a rule forbids it. */
export function refusesRemoval(status: number, code: string): boolean {
  return status === 405 || status === 403 && code === 'AccessDenied';
}

/** What creators of one name were told: the number of those that won, and the last that failed otherwise. */
async function race(client: S3Client, name: string): Promise<{ readonly winners: readonly number[]; readonly refusal?: ToolError }> {
  const outcomes = await Promise.allSettled(Array.from({ length: CREATORS }, (_, i) => createObject(client, name, bodyOf(`creator ${i}`))));
  const winners: number[] = [];
  let refusal: ToolError | undefined;
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') winners.push(i);
    // Some stores say that they don't know the header; that is an answer, everything else is not.
    else if (outcome.reason instanceof ToolError && outcome.reason.data['status'] === 501) refusal = outcome.reason;
    else if (!(outcome.reason instanceof BusyError)) throw outcome.reason;
  }
  return refusal === undefined ? { winners } : { winners, refusal };
}

async function readText(client: S3Client, name: string): Promise<string> {
  const reader = await openObject(client, name);
  const bytes = new Uint8Array(Math.min(reader.size, 64));
  await reader.readInto(0, bytes);
  await reader.close();
  return textOf(bytes);
}

/** One winner among creators at the same time, one that comes later loses, the bytes are the winner's, and the object can tell whose it is. */
async function isCreateOnce(client: S3Client, name: string, left: boolean): Promise<boolean> {
  const { winners, refusal } = await race(client, name);
  // An object that an earlier probe had to leave behind refuses all of them.
  if (refusal !== undefined || !(winners.length === 1 || left && winners.length === 0)) return false;
  const late = await createObject(client, name, bodyOf('late')).then(() => false, (error: unknown) => {
    if (error instanceof BusyError) return true;
    throw error;
  });
  const { last } = await client.send({ method: 'HEAD', name });
  const tokened = 'headers' in last && /^[0-9a-f]{32}$/.test(String(last.headers[TOKEN_HEADER]));
  const text = await readText(client, name);
  return late && tokened && (winners.length === 0 ? text.startsWith('creator ') : text === `creator ${winners[0]}`);
}

async function isListed(client: S3Client, name: string): Promise<boolean> {
  for await (const page of listObjects(client, SCRATCH_DIRECTORY)) if (page.some((row) => row.name === name)) return true;
  return false;
}

/** Tries everything out. @throws {ToolError} the store can't be reached, or refuses this user. */
export async function probe(client: S3Client): Promise<ObjectStoreCapabilities> {
  const fresh = `${SCRATCH_DIRECTORY}/${Buffer.from(client.world.randomBytes(16)).toString('hex')}`;
  const remove = await mayRemove(client, fresh);
  const name = remove ? fresh : `${SCRATCH_DIRECTORY}/append-only`;
  try {
    const putIfAbsent = await isCreateOnce(client, name, !remove);
    const listAfterPut = putIfAbsent && await isListed(client, name);
    return { putIfAbsent, listAfterPut, remove, remote: true };
  } finally {
    if (remove) await client.send({ method: 'DELETE', name });
  }
}

/**
 * The one step that creates an object: a PUT with `If-None-Match: *`. When its answer is lost, a second PUT is refused because the first one had won;
 * gateways that repeat requests on their own do the same to a first one. So each creation carries a random token in the object's metadata, and who is
 * refused looks whose object it is. The probe made sure that the store keeps metadata: an object without our token is not ours.
 */
import { BusyError, type ToolError } from '../../../core/index.ts';
import type { S3Body, S3Client, S3Outcome, S3Request } from './client.ts';

/** Metadata of objects that says who created them. */
export const TOKEN_HEADER = 'x-amz-meta-holdfast-token';

/**
 * Creates an object; when it resolves, the object is there with these bytes, and nobody else created it.
 * @throws {BusyError} the name exists. @throws {ToolError} the store refuses, or whether the object was created could not be found out:
 * then `data.unsure` is true, and it may also appear later.
 */
export async function createObject(client: S3Client, name: string, body: S3Body): Promise<void> {
  const token = Buffer.from(client.world.randomBytes(16)).toString('hex');
  // Buckets with object lock want a checksum beside the signature's digest.
  const checksum = Buffer.from(body.digest, 'hex').toString('base64');
  const headers = { 'if-none-match': '*', 'content-type': 'application/octet-stream', 'x-amz-checksum-sha256': checksum, [TOKEN_HEADER]: token };
  const request: S3Request = { method: 'PUT', name, body, headers };
  const outcome = await client.send(request);
  if (outcome.status === 200) return;
  if (outcome.status === 412 || outcome.unsure) await settle(client, request, outcome);
  else throw client.failure(request, outcome);
}

async function settle(client: S3Client, request: S3Request, outcome: S3Outcome): Promise<void> {
  const { name = '', headers = {} } = request;
  const look: S3Request = { method: 'HEAD', name };
  const found = await client.send(look);
  const unknown = (note: string): ToolError => client.failure(request, { ...outcome, unsure: true }, `whether it was created is unknown: ${note}`);
  if (found.status === 404) {
    // Refused at the first attempt and gone by now: another creator's object, removed since.
    if (outcome.unsure) throw unknown('it is not there now, and may appear later');
  } else if (found.status !== 200 || !('headers' in found.last)) throw unknown(client.failure(look, found).message);
  else if (found.last.headers[TOKEN_HEADER] === headers[TOKEN_HEADER]) return;
  throw new BusyError(`Create '${client.place}/${name}': it exists already`, { name });
}

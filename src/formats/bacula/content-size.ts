/**
 * How many bytes a file's content really has, before it is read: for plain content the scan has counted them; for compressed
 * and sparse content the first and the last chunk tell, because a client fills every buffer but the last.
 */
import { ContentPass, type ContentTools } from './content-pass.ts';
import type { SessionIndex } from './session-index.ts';
import { FILE_TYPE } from './attributes.ts';
import { dataStream } from './stream.ts';

async function firstChunk(pass: ContentPass): Promise<{ readonly offset: number; readonly length: number } | undefined> {
  const chunk = await pass.next();
  pass.release();
  return chunk === undefined ? undefined : { offset: chunk.offset, length: chunk.bytes.length };
}

/** What the content should come to if all buffers but the last were full; undefined when only a whole pass can tell. */
async function predict(session: SessionIndex, row: number, tools: ContentTools): Promise<number | undefined> {
  const last = session.files.lastRecordOf(row);
  const stream = dataStream(session.files.stream.get(row));
  if (stream === undefined || stream.encrypted) return undefined;
  const end = await firstChunk(new ContentPass(session, row, tools, { offset: 0, place: last.place }));
  if (end === undefined) return undefined;
  if (stream.sparse || last.records === 1) return end.offset + end.length;
  const first = await firstChunk(new ContentPass(session, row, tools, { offset: 0, place: { block: session.files.block.get(row), offset: session.files.offset.get(row) } }));
  return first === undefined ? undefined : (last.records - 1) * first.length + end.length;
}

/** Whether the attributes tell the size, or the content was counted: not so for packed content of pipes, FIFOs and raw devices. */
export function sizeIsKnown(session: SessionIndex, row: number): boolean {
  const { files } = session;
  return files.stream.get(row) === 0 || files.actualSize.has(row) || files.damage.has(row) || promisesSize(session, row);
}

/** Whether LStat's size is one that content can be held to: an empty file has no content, and a device or FIFO has no size. */
function promisesSize(session: SessionIndex, row: number): boolean {
  const type = session.files.type.get(row);
  return session.files.size.get(row) > 0 && type !== FILE_TYPE.RAW && type !== FILE_TYPE.FIFO;
}

/**
 * Finds out the size of packed content and keeps it where it differs from what the attributes say. Files whose records may be
 * lost keep what the attributes say: reading them fails anyway. Attributes that promise a size are believed for encrypted
 * content: reading it to its end tells.
 * @returns whether it differs from a size that was promised.
 * @throws as reading the content, where it takes a whole pass.
 */
export async function resolvePackedSize(session: SessionIndex, row: number, tools: ContentTools): Promise<boolean> {
  const { files } = session;
  const stream = dataStream(files.stream.get(row));
  if (stream === undefined || stream.unsupported !== undefined || (stream.packing === 'plain' && !stream.sparse && !stream.encrypted) || files.actualSize.has(row) || files.damage.has(row)) return false;
  const promised = promisesSize(session, row);
  if (promised && (stream.encrypted || await predict(session, row, tools) === files.size.get(row))) return false;
  const pass = new ContentPass(session, row, tools);
  while (await pass.next() !== undefined);
  files.actualSize.set(row, pass.position);
  return promised && pass.position !== files.size.get(row);
}

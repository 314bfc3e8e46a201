/**
 * How many bytes a file's content really has, before it is read: for plain content the scan has counted them; for compressed
 * and sparse content the first and the last chunk tell, because a client fills every buffer but the last.
 */
import { ContentPass, type ContentTools } from './content-pass.ts';
import type { SessionIndex } from './session-index.ts';
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
  if (last === undefined || stream === undefined || stream.encrypted) return undefined;
  const end = await firstChunk(new ContentPass(session, row, tools, { offset: 0, place: last.place }));
  if (end === undefined) return undefined;
  if (stream.sparse || last.records === 1) return end.offset + end.length;
  const first = await firstChunk(new ContentPass(session, row, tools, { offset: 0, place: { block: session.files.block.get(row), offset: session.files.offset.get(row) } }));
  return first === undefined ? undefined : (last.records - 1) * first.length + end.length;
}

/**
 * Finds out the size of packed content and keeps it where it differs from what the attributes say. Files whose records may be
 * lost keep what the attributes say: reading them fails anyway. The attributes of encrypted
 * content are believed: reading it to its end tells.
 * @returns whether it differs.
 * @throws as reading the content, where it takes a whole pass.
 */
export async function resolvePackedSize(session: SessionIndex, row: number, tools: ContentTools): Promise<boolean> {
  const { files } = session;
  const stream = dataStream(files.stream.get(row));
  if (stream === undefined || stream.unsupported !== undefined || (stream.packing === 'plain' && !stream.sparse) || files.actualSize.has(row) || files.damage.has(row)) return false;
  if (stream.encrypted || await predict(session, row, tools) === files.size.get(row)) return false;
  const pass = new ContentPass(session, row, tools);
  while (await pass.next() !== undefined);
  files.actualSize.set(row, pass.position);
  return pass.position !== files.size.get(row);
}

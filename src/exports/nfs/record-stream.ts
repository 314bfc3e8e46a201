/** Records of one TCP connection: cut out of the stream, answered several at a time, answers in the order in which they are ready. */
import type { Socket } from 'node:net';
import { ProtocolError } from '../../core/index.ts';
import type { RpcDispatcher } from './rpc.ts';

/** The largest call; a server of a tree that cannot be written needs no large ones. */
const RECORD_BYTES_MAX = 256 << 10;
const FRAGMENTS_MAX = 64;
/** Calls of one connection under way at a time; the others wait in the socket. */
const CALLS_MAX = 4;

/** Serves one connection until it ends; what a client does wrong ends it. Never rejects. */
export async function serveConnection(socket: Socket, dispatcher: RpcDispatcher, onError: (error: unknown) => void): Promise<void> {
  const running = new Set<Promise<void>>();
  socket.on('error', () => undefined); // a connection that breaks is the client's affair
  try {
    for await (const record of records(socket)) {
      if (socket.destroyed) break;
      const task = dispatcher.answer(record).then((answer) => send(socket, answer)).catch((error: unknown) => {
        if (!(error instanceof ProtocolError)) onError(error);
        socket.destroy();
      });
      running.add(task);
      void task.finally(() => { running.delete(task); });
      if (running.size >= CALLS_MAX) await Promise.race(running);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError) && !socket.destroyed) onError(error);
  } finally {
    await Promise.all(running);
    socket.destroy();
  }
}

/** Waits where the client does not read: what it has asked for must not fill the memory. */
async function send(socket: Socket, answer: Buffer): Promise<void> {
  if (socket.destroyed || socket.write(answer)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

/** Whole records. Source: RFC 5531, section 11. @throws {ProtocolError} one is too long, or has too many fragments. */
async function* records(socket: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> {
  let pending: Buffer = Buffer.alloc(0);
  let fragments: Buffer[] = [];
  let bytes = 0;
  for await (const piece of socket) {
    pending = pending.length === 0 ? piece : Buffer.concat([pending, piece]);
    while (pending.length >= 4) {
      const mark = pending.readUInt32BE(0);
      const length = mark & 0x7fff_ffff;
      if (bytes + length > RECORD_BYTES_MAX || fragments.length >= FRAGMENTS_MAX) throw new ProtocolError(`Receive RPC record: '${bytes + length}' bytes in '${fragments.length + 1}' fragments, expected at most '${RECORD_BYTES_MAX}'`);
      if (pending.length < 4 + length) break;
      fragments.push(pending.subarray(4, 4 + length));
      bytes += length;
      pending = pending.subarray(4 + length);
      if ((mark & 0x8000_0000) === 0) continue;
      yield fragments.length === 1 ? fragments[0] as Buffer : Buffer.concat(fragments);
      fragments = [];
      bytes = 0;
    }
  }
}

/** The server through a client of the test's own: names in pages, content, what is refused; and messages that no client sends. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { NfsServer } from './server.ts';
import { XdrReader, XdrWriter } from './xdr.ts';

const MOUNT = 100_005;
const NFS = 100_003;
const names = Array.from({ length: 700 }, (_, i) => `entry-${i}-${'x'.repeat(i % 90)}`);
const content = seededBytes(3_000_000, 5);
const problems: unknown[] = [];
let server: NfsServer;

before(async () => {
  const many = directoryNode(Object.fromEntries(names.map((name, i) => [name, fileNode(seededBytes(i, i))])));
  const tree = new MemoryTree(directoryNode({ many, large: fileNode(content), empty: directoryNode({}) }));
  server = await NfsServer.listen(tree, { host: '127.0.0.1', port: 0, key: seededBytes(32, 1), onProblem: (error) => { problems.push(error); } });
});
after(async () => {
  await server.close();
  assert.deepEqual(problems, []);
});

/** One connection; calls one after the other. */
class Client {
  readonly #socket: Socket;
  #xid = 0;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  closed = false;

  constructor() {
    this.#socket = connect(server.port, '127.0.0.1');
    this.#socket.on('data', (piece) => {
      this.#received = Buffer.concat([this.#received, piece]);
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The answer's results, behind the words that say that the call was accepted; undefined when the connection ended. */
  async call(program: number, procedure: number, args: (writer: XdrWriter) => void): Promise<{ readonly state: number; readonly results: XdrReader } | undefined> {
    this.#xid += 1;
    const message = new XdrWriter().u32(0).u32(this.#xid).u32(0).u32(2).u32(program).u32(3).u32(procedure);
    message.u32(1).opaque(new XdrWriter().u32(1).opaque(Buffer.from('test')).u32(0).u32(0).u32(0).bytes).u32(0).u32(0);
    args(message);
    const { bytes } = message;
    bytes.writeUInt32BE((0x8000_0000 | (bytes.length - 4)) >>> 0);
    // In two fragments of the transport.
    this.write(bytes.subarray(0, 9));
    this.write(bytes.subarray(9));
    const length = async (): Promise<number | undefined> => {
      for (;;) {
        if (this.#received.length >= 4 && this.#received.length >= 4 + (this.#received.readUInt32BE(0) & 0x7fff_ffff)) return this.#received.readUInt32BE(0) & 0x7fff_ffff;
        if (this.closed) return undefined;
        await new Promise<void>((resolve) => { this.#wake = resolve; });
      }
    };
    const found = await length();
    if (found === undefined) return undefined;
    const answer = new XdrReader(this.#received.subarray(4, 4 + found));
    this.#received = this.#received.subarray(4 + found);
    assert.equal(answer.u32(), this.#xid);
    assert.deepEqual([answer.u32(), answer.u32()], [1, 0]);
    answer.fixed(8);
    return { state: answer.u32(), results: answer };
  }

  async ok(program: number, procedure: number, args: (writer: XdrWriter) => void): Promise<XdrReader> {
    const answer = await this.call(program, procedure, args);
    assert.equal(answer?.state, 0);
    return answer.results;
  }

  end(): void {
    this.#socket.destroy();
  }
}

async function withClient(run: (client: Client, root: Uint8Array) => Promise<void>): Promise<void> {
  const client = new Client();
  try {
    const mounted = await client.ok(MOUNT, 1, (args) => { args.opaque(Buffer.from('/')); });
    assert.equal(mounted.u32(), 0);
    await run(client, mounted.opaque(64).slice());
  } finally {
    client.end();
  }
}

async function lookup(client: Client, directory: Uint8Array, name: string): Promise<Uint8Array> {
  const found = await client.ok(NFS, 3, (args) => { args.opaque(directory).opaque(Buffer.from(name)); });
  assert.equal(found.u32(), 0, name);
  return found.opaque(64).slice();
}

/** Skips `post_op_attr`; its file id. */
function attributesOf(results: XdrReader): number | undefined {
  if (results.u32() === 0) return undefined;
  results.fixed(52);
  const id = results.u64();
  results.fixed(24);
  return id;
}

for (const isPlus of [false, true]) {
  test(`READDIR${isPlus ? 'PLUS' : ''} in small pages gives each name once`, () => withClient(async (client, root) => {
    const directory = await lookup(client, root, 'many');
    const found: string[] = [];
    let cookie = 0;
    for (let isEnd = false; !isEnd;) {
      const page = await client.ok(NFS, isPlus ? 17 : 16, (args) => {
        args.opaque(directory).u64(cookie).fixed(new Uint8Array(8)).u32(1_500);
        if (isPlus) args.u32(1_500);
      });
      assert.equal(page.u32(), 0);
      attributesOf(page);
      page.fixed(8);
      while (page.u32() === 1) {
        const id = page.u64();
        found.push(Buffer.from(page.opaque(255)).toString());
        cookie = page.u64() ?? 0;
        if (!isPlus) continue;
        assert.equal(attributesOf(page), id);
        assert.equal(page.u32(), 1);
        page.opaque(64);
      }
      isEnd = page.u32() === 1;
    }
    assert.deepEqual(found.slice(0, 2), ['.', '..']);
    assert.deepEqual(found.slice(2).sort(), [...names].sort());
  }));
}

test('content is read to its end, and not behind it', () => withClient(async (client, root) => {
  const file = await lookup(client, root, 'large');
  const pieces: Buffer[] = [];
  for (let isEnd = false, at = 0; !isEnd;) {
    const read = await client.ok(NFS, 6, (args) => { args.opaque(file).u64(at).u32(700_001); });
    assert.equal(read.u32(), 0);
    attributesOf(read);
    const count = read.u32();
    isEnd = read.u32() === 1;
    pieces.push(Buffer.from(read.opaque(1 << 20)));
    assert.equal(pieces.at(-1)?.length, count);
    at += count;
  }
  assert.equal(Buffer.compare(Buffer.concat(pieces), content), 0);
  const behind = await client.ok(NFS, 6, (args) => { args.opaque(file).u64(5_000_000).u32(10); });
  assert.equal(behind.u32(), 0);
  attributesOf(behind);
  assert.deepEqual([behind.u32(), behind.u32()], [0, 1]);
}));

test('what is absent, foreign or would change something is refused by its status', () => withClient(async (client, root) => {
  const large = await lookup(client, root, 'large');
  const statusOf = async (procedure: number, args: (writer: XdrWriter) => void): Promise<number> => (await client.ok(NFS, procedure, args)).u32();
  assert.equal(await statusOf(3, (args) => { args.opaque(root).opaque(Buffer.from('absent')); }), 2);
  assert.equal(await statusOf(3, (args) => { args.opaque(root).opaque(Buffer.alloc(300, 0x61)); }), 63);
  assert.equal(await statusOf(3, (args) => { args.opaque(large).opaque(Buffer.from('x')); }), 20);
  assert.equal(await statusOf(1, (args) => { args.opaque(Buffer.alloc(16, 9)); }), 70);
  assert.equal(await statusOf(1, (args) => { args.opaque(root.map((byte, i) => (i === 13 ? 0xfe : byte))); }), 70);
  assert.equal(await statusOf(7, (args) => { args.opaque(large).u64(0).u32(4).u32(2).opaque(Buffer.from('data')); }), 30);
  for (const [procedure, words] of [[12, 2], [14, 4], [15, 3]] as const) {
    const refused = await client.ok(NFS, procedure, (args) => { args.opaque(root).opaque(Buffer.from('large')); });
    assert.deepEqual([refused.u32(), refused.left], [30, words * 4]);
  }
  assert.equal((await client.ok(MOUNT, 1, (args) => { args.opaque(Buffer.from('/none')); })).u32(), 2);
  assert.equal((await client.ok(MOUNT, 1, (args) => { args.opaque(Buffer.from('/large')); })).u32(), 20);
}));

test('calls that do not fit are answered as RPC says; what is no call ends the connection', () => withClient(async (client, root) => {
  assert.equal((await client.call(100_999, 0, () => undefined))?.state, 1);
  assert.equal((await client.call(NFS, 99, () => undefined))?.state, 3);
  assert.equal((await client.call(NFS, 1, (args) => { args.u32(0xffff_ff00); }))?.state, 4);
  await lookup(client, root, 'empty');
  client.write(Buffer.from('80000008000000010000000100000000', 'hex'));
  assert.equal(await client.call(NFS, 0, () => undefined), undefined);
  const other = new Client();
  other.write(Buffer.from('ffffffff', 'hex'));
  assert.equal(await other.call(NFS, 0, () => undefined), undefined, 'a record of 2 GiB');
  other.end();
}));

test('random messages hurt nobody else', async () => {
  await withClient(async (client, root) => {
    await fc.assert(fc.asyncProperty(fc.nat(21), fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (procedure, bytes, isHandle) => {
      const answer = await client.call(NFS, procedure, (args) => { (isHandle ? args.opaque(root) : args).fixed(bytes); });
      assert.ok(answer !== undefined && (answer.state === 0 || answer.state === 4));
    }), { numRuns: 300 });
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const noise = new Client();
      noise.write(bytes);
      noise.end();
      await lookup(client, root, 'large');
    }), { numRuns: 30 });
  });
});

/**
 * A directory that lives: small files come, go, change and move, logs grow and are rotated, a database is written in place, a document gets
 * insertions, a disk image changes by blocks, a sparse file fills up, names are linked. State `n` follows from seed and size alone, and its size is steady.
 */
import { sizeOf, splicePieces, type Piece } from './piece.ts';
import { Workshop, type Corpus } from './workshop.ts';

const KIB = 1024;
const SMALL_BYTES_MAX = 48 * KIB;
const LOG_BYTES_MAX = 512 * KIB;
/** Block of the disk image; the engine cuts images at multiples of it. */
const IMAGE_BLOCK_BYTES = 32 * KIB;
/** Region of the database that one write replaces. */
const DATABASE_WRITE_BYTES = 48 * KIB;
const SPARSE_WRITE_BYTES = 64 * KIB;
const SPARSE_WRITES_MAX = 24;

const logs = ['logs/access.log', 'logs/error.log', 'logs/system.log'] as const;
const database = 'database/table.bin';
const book = 'documents/book.txt';
const image = 'images/disk.img';
const sparse = 'sparse/sparse.bin';

/** All directories, in any state: some of the small ones may be empty. */
export const directories: readonly string[] = [
  'database', 'documents', 'images', 'links', 'logs', 'small', 'sparse', ...Array.from({ length: 16 }, (_, i) => `small/d${i}`),
];

function addSmall(shop: Workshop): void {
  const text = shop.below(2) === 0;
  // Squares of fractions: most are small, some are empty.
  const size = Math.floor(SMALL_BYTES_MAX * (shop.below(1000) / 1000) ** 2);
  shop.create(shop.newPath(`small/d${shop.below(16)}`, text ? '.txt' : '.bin'), size === 0 ? [] : [shop.fresh(text ? 'text' : 'random', size)]);
}

/** A boot sector with one partition comes first, so that the engine takes it for a disk; a third of it are holes. */
function imagePieces(shop: Workshop, blocks: number): Piece[] {
  return Array.from({ length: blocks }, (_, i) => (
    i % 12 >= 8 ? { kind: 'hole', stream: 0, from: 0, length: IMAGE_BLOCK_BYTES } : shop.fresh(i === 0 ? 'disk' : 'random', IMAGE_BLOCK_BYTES)
  ));
}

function emptySparse(bytes: number): Piece[] {
  return [{ kind: 'hole', stream: 0, from: 0, length: bytes }];
}

/** State 0: about `mebibytes` of content. */
export function firstCorpus(seed: number, mebibytes: number): Corpus {
  const shop = new Workshop(seed, 0);
  const share = mebibytes * KIB * KIB / 4;
  for (let i = 0; i < share / (SMALL_BYTES_MAX / 3); i += 1) addSmall(shop);
  for (const log of logs) shop.create(log, [shop.fresh('text', 64 * KIB)]);
  shop.create(database, [shop.fresh('random', share)]);
  shop.create(book, [shop.fresh('text', Math.floor(share / 2))]);
  shop.create(image, imagePieces(shop, Math.ceil(share / IMAGE_BLOCK_BYTES)));
  shop.create(sparse, emptySparse(share * 2));
  for (let i = 0; i < 4; i += 1) {
    const path = `links/original-${i}`;
    shop.create(path, [shop.fresh('random', 10 * KIB)]);
    shop.change(path, { paths: [path, `links/second name ${i}`] });
    shop.symlinks.set(`links/symbolic-${i}`, `../${path}`);
  }
  return shop.finish();
}

function changeSmall(shop: Workshop): void {
  for (let i = 0; i < 4; i += 1) {
    addSmall(shop);
    shop.remove(shop.pick(shop.under('small')));
    const path = shop.pick(shop.under('small'));
    shop.change(path, { pieces: [shop.fresh('random', 1 + shop.below(SMALL_BYTES_MAX))] });
    shop.change(shop.pick(shop.under('small')), { paths: [shop.newPath(`small/d${shop.below(16)}`, '.moved')] });
  }
  shop.change(shop.pick(shop.under('small')), { mode: shop.pick([0o600, 0o644, 0o400]) });
  shop.change(shop.pick(shop.under('small')));
}

function growLogs(shop: Workshop): void {
  for (const log of logs) {
    if (sizeOf(shop.file(log).pieces) > LOG_BYTES_MAX) {
      if (shop.under('logs').includes(`${log}.1`)) shop.remove(`${log}.1`);
      shop.change(log, { paths: [`${log}.1`] });
      shop.create(log, []);
    }
    shop.change(log, { pieces: [...shop.file(log).pieces, shop.fresh('text', (16 + shop.below(64)) * KIB)] });
  }
}

function writeInPlace(shop: Workshop): void {
  let { pieces } = shop.file(database);
  for (let i = 0; i < 3; i += 1) {
    pieces = splicePieces(pieces, shop.below(sizeOf(pieces) - DATABASE_WRITE_BYTES), DATABASE_WRITE_BYTES, [shop.fresh('random', DATABASE_WRITE_BYTES)]);
  }
  shop.change(database, { pieces });
  let blocks: readonly Piece[] = shop.file(image).pieces;
  const count = sizeOf(blocks) / IMAGE_BLOCK_BYTES;
  for (let i = 0; i < 6; i += 1) {
    blocks = splicePieces(blocks, (1 + shop.below(count - 1)) * IMAGE_BLOCK_BYTES, IMAGE_BLOCK_BYTES, [shop.fresh('random', IMAGE_BLOCK_BYTES)]);
  }
  shop.change(image, { pieces: blocks });
}

/** An insertion moves all that follows; as much goes away elsewhere. */
function editBook(shop: Workshop): void {
  let { pieces } = shop.file(book);
  const length = (4 + shop.below(24)) * KIB;
  pieces = splicePieces(pieces, shop.below(sizeOf(pieces)), 0, [shop.fresh('text', length)]);
  shop.change(book, { pieces: splicePieces(pieces, shop.below(sizeOf(pieces) - length), length, []) });
}

function fillSparse(shop: Workshop): void {
  const { pieces } = shop.file(sparse);
  const size = sizeOf(pieces);
  const full = pieces.filter((piece) => piece.kind !== 'hole').length >= SPARSE_WRITES_MAX;
  const before = full ? emptySparse(size) : pieces;
  const at = shop.below(size / SPARSE_WRITE_BYTES - 1) * SPARSE_WRITE_BYTES;
  shop.change(sparse, { pieces: splicePieces(before, at, SPARSE_WRITE_BYTES, [shop.fresh('random', SPARSE_WRITE_BYTES)]) });
}

function relink(shop: Workshop, cycle: number): void {
  const path = shop.pick(shop.under('links'));
  const [first = path] = shop.file(path).paths;
  shop.change(path, { paths: [first, `links/name of cycle ${cycle}`] });
  shop.symlinks.set(shop.pick([...shop.symlinks.keys()].sort()), `../${shop.pick(shop.under('small'))}`);
}

/** The state after one. */
export function nextCorpus(before: Corpus): Corpus {
  const shop = new Workshop(before.seed, before.cycle + 1, before);
  changeSmall(shop);
  growLogs(shop);
  writeInPlace(shop);
  editBook(shop);
  fillSparse(shop);
  relink(shop, before.cycle + 1);
  return shop.finish();
}

/** All states from 0 to `last`, in order; the caller keeps those it needs. */
export function* corpora(seed: number, mebibytes: number, last: number): Generator<Corpus> {
  let state = firstCorpus(seed, mebibytes);
  yield state;
  while (state.cycle < last) yield (state = nextCorpus(state));
}

/**
 * `holdfast mount` with the real kernel: a snapshot of a seeded tree with everything a Linux machine may hold, read through the mount by
 * ordinary programs and compared with the original; then use that ends badly.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync, ftruncateSync, writeFileSync, writeSync, existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool, type Command } from './bacula/tool.ts';
import { compareCopies, liveManifest } from './bacula/live-manifest.ts';
import { growFiles, growSpecials, SeededBytes } from './bacula/tree.ts';
import { Checks } from './checks.ts';
import { holdfast, holdfastCommand } from './holdfast.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';
import { ServedMount, isMounted } from './served-mount.ts';

const manyFiles = 12_000;
const bigBytes = 200_000_000;
const readers = 8;
const memoryMax = 300;

/** A large directory, a large file, a sparse one, beside the tree of the Bacula scenarios. */
async function grow(root: string, random: SeededBytes): Promise<void> {
  mkdirSync(path.join(root, 'many'), { recursive: true });
  growFiles(root, random, 60, 200_000);
  await growSpecials(root, random);
  for (let i = 0; i < manyFiles; i += 1) writeFileSync(path.join(root, 'many', `${i}-${'x'.repeat(i % 200)}`), i % 10 === 0 ? random.bytes(i % 5000) : '');
  const big = openSync(path.join(root, 'big'), 'w');
  for (let done = 0; done < bigBytes; done += 4_000_000) writeSync(big, random.bytes(4_000_000));
  closeSync(big);
  const sparse = openSync(path.join(root, 'sparse'), 'w');
  writeSync(sparse, random.bytes(100_000), 0, 100_000, 50_000_000);
  ftruncateSync(sparse, 1_000_000_000);
  closeSync(sparse);
}

class Round {
  readonly #context: ScenarioContext;
  readonly #checks: Checks;
  readonly #tree: string;
  readonly #location: string;
  readonly #repository: string;

  constructor(context: ScenarioContext) {
    this.#context = context;
    this.#checks = new Checks(context);
    this.#tree = path.join(context.workDirectory, 'tree');
    this.#repository = path.join(context.workDirectory, 'repository');
    this.#location = `${this.#repository}::latest::${this.#tree}`;
  }

  async run(): Promise<Tally> {
    mkdirSync(this.#tree);
    await grow(this.#tree, new SeededBytes(this.#context.seed));
    await holdfast(['init', this.#repository]);
    const stored = await holdfast(['backup', this.#tree, '--repo', this.#repository]);
    this.#checks.expect('the tree is stored', stored.status === 0, stored.stderr.slice(-500));
    await this.#withMount('mnt', (mount) => this.#read(mount));
    await this.#withMount('busy', (mount) => this.#busy(mount));
    await this.#withMount('killed', (mount) => this.#killed(mount));
    await this.#unprivileged();
    return this.#checks.tally;
  }

  async #withMount(name: string, use: (mount: ServedMount) => Promise<void>): Promise<void> {
    const directory = path.join(this.#context.workDirectory, name);
    mkdirSync(directory);
    const mount = await ServedMount.start([...holdfastCommand(), 'mount', this.#location, directory], directory);
    try {
      await use(mount);
    } finally {
      await mount.clear();
    }
  }

  /** Seconds to read the big file from the tree and from the mount, turn by turn, without caches; then from the kernel's cache of the mount. */
  async rates(): Promise<Tally> {
    mkdirSync(this.#tree);
    const random = new SeededBytes(this.#context.seed);
    const big = openSync(path.join(this.#tree, 'big'), 'w');
    for (let done = 0; done < 2 * bigBytes; done += 4_000_000) writeSync(big, done % 8_000_000 === 0 ? random.bytes(4_000_000) : Buffer.alloc(4_000_000, `offset ${done} of the big file `));
    closeSync(big);
    await holdfast(['init', this.#repository]);
    await holdfast(['backup', this.#tree, '--repo', this.#repository]);
    await this.#withMount('mnt', async ({ directory }) => {
      const seconds = { direct: [] as number[], mounted: [] as number[], cached: [] as number[] };
      const timed = async (kind: keyof typeof seconds, place: string): Promise<void> => {
        if (kind !== 'cached') await runTool(['sh', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches']);
        const begun = performance.now();
        await runTool(['dd', 'bs=1M', 'of=/dev/null', 'status=none', `if=${path.join(place, 'big')}`]);
        seconds[kind].push((performance.now() - begun) / 1000);
      };
      for (let round = 0; round < 5; round += 1) {
        await timed('direct', this.#tree);
        await timed('mounted', directory);
        await timed('cached', directory);
      }
      const middle = (kind: keyof typeof seconds): number => seconds[kind].toSorted((a, b) => a - b)[2] ?? 0;
      for (const kind of ['direct', 'mounted', 'cached'] as const) this.#context.log(`${kind}: ${Math.round(2 * bigBytes / 1e6 / middle(kind))} MB/s, ${(middle('direct') / middle(kind)).toFixed(2)} of direct`);
      await this.#succeeds('and the bytes are right', ['cmp', path.join(this.#tree, 'big'), path.join(directory, 'big')]);
    });
    return this.#checks.tally;
  }

  /** A program that must end with 0 and, if told, print this. */
  async #succeeds(what: string, command: Command, expected?: string): Promise<void> {
    const { status, stdout, stderr } = await runTool(command, { anyStatus: true });
    const printed = stdout.toString('latin1').trim();
    this.#checks.expect(what, status === 0 && (expected === undefined || printed === expected), `code ${status}: ${stderr.toString().slice(-800)} ${printed.slice(0, 300)}`);
  }

  async #read(mount: ServedMount): Promise<void> {
    const { directory } = mount;
    const original = await liveManifest(this.#tree);
    const shown = await liveManifest(directory);
    const moved = shown.map((line) => relocated(line, directory, this.#tree));
    const differences = compareCopies(original, moved, { below: '' });
    this.#checks.expect(`${original.length} paths: names, types, modes, owners, times, links, digests, devices, attributes and ACLs`, differences.length === 0, differences.slice(0, 8).join('\n    '));
    await this.#succeeds('find sees as many names', ['sh', '-c', `test "$(cd '${directory}' && find . -print0 | sort -z | md5sum)" = "$(cd '${this.#tree}' && find . -print0 | sort -z | md5sum)"`]);
    await this.#succeeds('diff -r', ['diff', '-r', '--no-dereference', '-x', 'fifo', '-x', 'character', '-x', 'block', this.#tree, directory]);
    const copy = path.join(this.#context.workDirectory, 'copy');
    await this.#succeeds('cp -a', ['cp', '-a', directory, copy]);
    const copied = (await liveManifest(copy)).map((line) => relocated(line, copy, this.#tree));
    const faults = compareCopies(original, copied, { below: '' });
    this.#checks.expect('what cp -a copied', faults.length === 0, faults.slice(0, 8).join('\n    '));
    await this.#succeeds('cp -a keeps holes', ['sh', '-c', `test $(stat -c %b '${copy}/sparse') -lt 2000`]);
    await this.#succeeds('hard links are one inode', ['sh', '-c', `cd '${directory}/links' && test "$(stat -c %i first)" = "$(stat -c %i second)" && test "$(stat -c %h first)" = 4`]);
    await this.#succeeds('nothing can be written', ['sh', '-c', `! touch '${directory}/new' && ! rm '${directory}/big' && ! sh -c "echo x >> '${directory}/big'"`]);
    await this.#parallel(directory);
    await runTool(['sh', '-c', `sync; echo 2 > /proc/sys/vm/drop_caches; ls -lR '${directory}' > /dev/null; echo 2 > /proc/sys/vm/drop_caches`], { anyStatus: true });
    this.#checks.expect(`the server stays below ${memoryMax} MB`, mount.megabytes < memoryMax, `${Math.round(mount.megabytes)} MB`);
    const code = await mount.end('SIGINT');
    this.#checks.expect('SIGINT unmounts, code 0', code === 0 && !isMounted(directory), `code ${code}, ${mount.output}`);
  }

  async #parallel(directory: string): Promise<void> {
    const sums = await Promise.all(Array.from({ length: readers }, () => runTool(['md5sum', path.join(directory, 'big')])));
    const { stdout } = await runTool(['md5sum', path.join(this.#tree, 'big')]);
    const right = stdout.toString().slice(0, 32);
    this.#checks.expect(`${readers} readers at once`, sums.every((sum) => sum.stdout.toString().slice(0, 32) === right), sums.map((sum) => sum.stdout.toString()).join(''));
  }

  async #busy(mount: ServedMount): Promise<void> {
    const holder = spawn('sleep', ['60'], { cwd: mount.directory, stdio: 'ignore' });
    try {
      await sleep(200);
      const tried = await runTool(['umount', mount.directory], { anyStatus: true });
      this.#checks.expect('umount of a mount in use is refused', tried.status !== 0 && isMounted(mount.directory), tried.stderr.toString());
      await this.#succeeds('and the mount goes on', ['md5sum', path.join(mount.directory, 'links/first')]);
      const code = await mount.end('SIGTERM');
      this.#checks.expect('SIGTERM ends it all the same, code 0', code === 0 && !isMounted(mount.directory), `code ${code}, ${mount.output}`);
    } finally {
      holder.kill();
    }
  }

  async #killed(mount: ServedMount): Promise<void> {
    const reader = runTool(['md5sum', path.join(mount.directory, 'big')], { anyStatus: true });
    await sleep(100);
    mount.signal('SIGKILL');
    const { status } = await reader;
    await mount.end();
    for (let tries = 0; tries < 40 && isMounted(mount.directory); tries += 1) await sleep(50);
    this.#checks.expect('after kill -9 the mount is gone', !isMounted(mount.directory), 'still mounted after 2 s');
    this.#context.log(`a reader that was at work ended with '${status}'`);
  }

  /** Debian's udev makes the device 0666; where it is not, another one is shown in a mount namespace of its own. */
  async #unprivileged(): Promise<void> {
    const { workDirectory } = this.#context;
    const place = path.join(workDirectory, 'nobody');
    mkdirSync(path.join(place, 'mnt'), { recursive: true });
    await runTool(['cp', '-r', this.#repository, path.join(place, 'repository')]);
    await runTool(['chown', '-R', 'nobody', place]);
    await runTool(['chmod', '755', workDirectory]);
    const [node = '', script = ''] = holdfastCommand();
    const location = `${place}/repository::latest::${this.#tree}/links`;
    const user = 'setpriv --reuid=65534 --regid=65534 --clear-groups';
    const program = `
      mkdir '${place}/dev' && mount -t tmpfs -o dev none '${place}/dev' && mknod -m 666 '${place}/dev/fuse' c 10 229 && mount --bind '${place}/dev/fuse' /dev/fuse || exit 9
      ${user} '${node}' '${script}' mount '${location}' '${place}/mnt' --cache-dir '${place}/cache' & server=$!
      for i in $(seq 100); do grep -q ' ${place}/mnt ' /proc/self/mountinfo && break; sleep 0.1; done
      ${user} cmp '${this.#tree}/links/first' '${place}/mnt/first' || exit 3
      cat '${place}/mnt/first' > /dev/null 2>&1 && exit 4
      kill $server; wait $server; code=$?
      grep -q ' ${place}/mnt ' /proc/self/mountinfo && exit 5
      exit $code`;
    const { status, stdout, stderr } = await runTool(['unshare', '-m', 'sh', '-c', program], { anyStatus: true, timeoutMs: 60_000 });
    this.#checks.expect('nobody mounts through fusermount3, reads, keeps root out, unmounts', status === 0, `code ${status}: ${stdout.toString()}${stderr.toString().slice(-800)}`);
    this.#checks.expect('the directory is there as before', existsSync(path.join(place, 'mnt')), 'it is gone');
  }
}

/** A line of a manifest as if its tree stood elsewhere. */
function relocated<Line extends { readonly path: string; readonly path_b64?: string | undefined }>(line: Line, from: string, to: string): Line {
  const { path: text, path_b64: bytes } = line;
  const raw = bytes === undefined ? undefined : Buffer.from(bytes, 'base64');
  return { ...line, path: to + text.slice(from.length), ...(raw === undefined ? {} : { path_b64: Buffer.concat([Buffer.from(to), raw.subarray(Buffer.byteLength(from))]).toString('base64') }) };
}

/** About a minute. */
export const fuseMount: Scenario = {
  name: 'fuse-mount',
  needs: ['root', 'fusermount3', 'setpriv', 'unshare', 'setfacl', 'setfattr', 'getfattr'],
  quick: true,
  run: (context) => new Round(context).run(),
};

/** Two minutes; of use only where nothing else runs. */
export const fuseSpeed: Scenario = { name: 'fuse-speed', needs: ['root'], quick: false, run: (context) => new Round(context).rates() };

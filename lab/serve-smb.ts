/**
 * `holdfast serve smb` with a real Samba of its own and smbclient: what is listed and read, who gets in, where links lead, eight shares at once, names that would be
 * configuration, a server that is killed, and that nothing stays.
 */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../src/core/index.ts';
import { openLocation } from '../src/services/locations/index.ts';
import { runTool } from './bacula/tool.ts';
import { Checks } from './checks.ts';
import { surveyTree, type TreeFacts } from './filesystems/entry-facts.ts';
import { imagesFolder } from './images/corpus.ts';
import { isMounted } from './served-mount.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';
import { LabSamba } from './smb/lab-samba.ts';
import { ServedShare } from './smb/served-share.ts';

const images = ['ext4-default', 'xfs-v5', 'btrfs-single', 'ntfs-4k', 'fat32', 'exfat', 'ext2-1k', 'ext3-2k'];
const filesOfFirst = 300;
const filesOfEach = 40;
/** Names that Windows has, so that Samba shows them as they are. */
const plainFile = /^(?:[\w-][\w.-]*\/)+[\w-][\w.-]*[\w-]$/;

async function ownFacts(location: string): Promise<TreeFacts> {
  const opened = await openLocation(location);
  try {
    return await surveyTree((await opened.node()).tree, {}, false);
  } finally {
    await opened.close();
  }
}

class Round {
  readonly #checks: Checks;
  readonly #samba: LabSamba;
  readonly #corpus: string;
  readonly #mounts: string;

  constructor(checks: Checks, samba: LabSamba, corpus: string) {
    this.#checks = checks;
    this.#samba = samba;
    this.#corpus = corpus;
    this.#mounts = path.join(samba.directory, 'mounts');
  }

  async run(): Promise<void> {
    await this.#notIncluded();
    this.#samba.include();
    await this.#first();
    await this.#eight();
    await this.#hostile();
    await this.#killed();
    await this.#damaged();
    this.#nothingStays();
  }

  #serve(location: string, ...words: readonly string[]): Promise<ServedShare> {
    return ServedShare.start(location, ['--samba-conf', this.#samba.includes, '--smb-conf', this.#samba.file, '--mount-dir', this.#mounts, ...words]);
  }

  #image(name: string): string {
    return path.join(this.#corpus, `${name}.raw::/`);
  }

  async #notIncluded(): Promise<void> {
    const refused = await this.#serve(this.#image('fat32'), '--share', 'fat').then((share) => share.end().then(() => 'it was served'), (error: Error) => error.message);
    this.#checks.expect('smb.conf without the include line: refused, and the line named', refused.includes(`'include = ${this.#samba.includes}/holdfast.conf'`), refused);
    this.#nothingStays();
  }

  /** Reads files of a share and compares them with what our reader says. @returns complaints. */
  async #read(share: string, location: string, count: number): Promise<readonly string[]> {
    const facts = await ownFacts(location);
    const files = [...facts].filter(([key, entry]) => plainFile.test(key) && entry.has('content') && Number(entry.get('size')) < 4_000_000);
    const step = Math.max(1, Math.floor(files.length / count));
    const chosen = files.filter((_, i) => i % step === 0).slice(0, count);
    const found = await this.#samba.digests(share, chosen.map(([key]) => key));
    const wrong = chosen.filter(([key, entry]) => found.get(key) !== entry.get('content')).map(([key]) => `${key}: ${found.get(key) ?? 'absent'}`);
    return chosen.length < Math.min(count, 20) ? [...wrong, `only ${chosen.length} files`] : wrong;
  }

  async #first(): Promise<void> {
    const share = await this.#serve(this.#image('ext4-default'), '--share', 'Guest');
    try {
      const facts = await ownFacts(this.#image('ext4-default'));
      const names = [...facts.keys()].filter((key) => plainFile.test(key) && facts.get(key)?.get('type') === 'file');
      const listed = await this.#samba.list('guest');
      const missing = names.filter((name) => !listed.has(name));
      this.#checks.expect(`smbclient lists ${names.length} files`, missing.length === 0 && names.length > 1000, missing.slice(0, 5).join('\n'));
      const wrong = await this.#read('guest', this.#image('ext4-default'), filesOfFirst);
      this.#checks.expect(`smbclient reads ${filesOfFirst} files, sha256 as our reader's`, wrong.length === 0, wrong.slice(0, 5).join('\n'));
      const inside = await this.#samba.digests('guest', ['links/short']);
      this.#checks.expect('a link inside the share leads there', inside.get('links/short') === facts.get('hello.txt')?.get('content'), inside.get('links/short') ?? 'nothing');
      const outside = await this.#samba.client('guest', 'get links/abs stolen');
      this.#checks.expect("a guest's link to /etc/passwd leads nowhere", outside.status !== 0 && !readdirSync(this.#samba.directory).includes('stolen'), outside.said);
      const written = await this.#samba.client('guest', 'mkdir new');
      this.#checks.expect('nobody writes', /NT_STATUS_(MEDIA_WRITE_PROTECTED|ACCESS_DENIED)/.test(written.said), written.said);
      const guest = await this.#samba.client('guest', 'ls', 'guest');
      this.#checks.expect('a guest is refused', guest.status !== 0 && guest.said.includes('NT_STATUS_ACCESS_DENIED'), guest.said);
      const other = await this.#samba.client('guest', 'ls', 'other');
      this.#checks.expect('another user is refused', other.status !== 0 && other.said.includes('NT_STATUS_ACCESS_DENIED'), other.said);
      const again = await this.#serve(this.#image('fat32'), '--share', 'guest').then((second) => second.end().then(() => 'it was served'), (error: Error) => error.message);
      this.#checks.expect('a name in use is refused', again.includes('Samba has one of that name'), again);
      // A client that is connected does not keep the share.
      const client = this.#samba.connected('guest');
      await sleep(1000);
      const code = await share.end();
      this.#checks.expect('SIGTERM ends it beside a connected client', code === 0 && !isMounted(path.join(this.#mounts, 'guest')), `code ${code}: ${share.said}`);
      await client.end();
      const gone = await this.#samba.client('guest', 'ls');
      this.#checks.expect('then Samba has no such share', gone.status !== 0 && gone.said.includes('NT_STATUS_BAD_NETWORK_NAME'), gone.said);
    } finally {
      await share.end();
    }
    this.#nothingStays();
  }

  async #eight(): Promise<void> {
    const began = await Promise.allSettled(images.map((name) => this.#serve(this.#image(name), '--share', name, '--valid-users', 'root, nobody')));
    const shares = began.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    try {
      const refused = began.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
      this.#checks.expect(`${images.length} shares at once`, refused.length === 0, refused.join('\n'));
      const wrong = await Promise.all(images.map(async (name) => (await this.#read(name, this.#image(name), filesOfEach)).map((line) => `${name}: ${line}`)));
      this.#checks.expect(`and ${images.length} clients at once, each reads ${filesOfEach} files`, wrong.flat().length === 0, wrong.flat().slice(0, 8).join('\n'));
      const other = await this.#samba.client('ext4-default', 'ls', 'other');
      this.#checks.expect('a user of --valid-users who is not root gets in', other.status === 0, other.said);
    } finally {
      const codes = await Promise.all(shares.map((share) => share.end()));
      this.#checks.expect('all end as asked', codes.every((code) => code === 0), `${codes.join(' ')} ${shares.map((share) => share.said).join('\n').slice(-500)}`);
    }
    this.#nothingStays();
  }

  /** A directory named like configuration, served to everybody. */
  async #hostile(): Promise<void> {
    const directory = path.join(this.#samba.directory, 'x]\n[evil]\npath = %H;\n#');
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'file'), 'content');
    const cases = ['README', 'ReadMe', 'readme'];
    for (const name of cases) writeFileSync(path.join(directory, name), `I am ${name}`);
    const share = await this.#serve(`${directory}::/`, '--guest-ok').catch(() => this.#serve(directory, '--guest-ok'));
    try {
      const names = readdirSync(this.#samba.includes).filter((name) => name.endsWith('.conf') && name !== 'holdfast.conf');
      const text = names.map((name) => readFileSync(path.join(this.#samba.includes, name), 'utf8')).join('');
      const { stdout } = await runTool(['testparm', '-s', this.#samba.file]);
      const sections = stdout.toString().match(/^\[.*\]$/gm) ?? [];
      this.#checks.expect('a name with line feeds and brackets makes one share of safe letters', names.length === 1 && sections.length === 2 && !text.includes('%') && (text.match(/\[/g) ?? []).length === 1, `${sections.join(' ')}\n${text}`);
      const name = names[0]?.replace('.conf', '') ?? '';
      const digests = await this.#samba.digests(name, cases);
      this.#checks.expect('names that differ in case only are different files', cases.every((one) => digests.get(one) === createHash('sha256').update(`I am ${one}`).digest('hex')), [...digests].join(' '));
      const read = await this.#samba.client(name, 'get file anonymous', 'guest');
      this.#checks.expect('--guest-ok lets everyone read', read.status === 0 && readFileSync(path.join(this.#samba.directory, 'anonymous'), 'utf8') === 'content', read.said);
    } finally {
      await share.end();
    }
    this.#nothingStays();
  }

  async #killed(): Promise<void> {
    const dead = await this.#serve(this.#image('exfat'), '--share', 'dead');
    const helpers = await dead.endWithHelper(path.join(this.#mounts, 'dead'));
    this.#checks.expect('a dead mount stays when its helper is killed, too', helpers > 0 && isMounted(path.join(this.#mounts, 'dead')), `${helpers} helpers`);
    const left = readdirSync(this.#samba.includes);
    this.#checks.expect('a killed server leaves its session', left.includes('dead.session') && left.includes('dead.conf'), left.join(' '));
    const next = await this.#serve(this.#image('fat32'), '--share', 'alive');
    try {
      const files = readdirSync(this.#samba.includes).filter((name) => !name.startsWith('.')).sort().join(' ');
      const index = readFileSync(path.join(this.#samba.includes, 'holdfast.conf'), 'utf8');
      this.#checks.expect('the next start removes it', files === 'alive.conf alive.session holdfast.conf' && !index.includes('dead') && !isMounted(path.join(this.#mounts, 'dead')), `${files}\n${index}`);
      const gone = await this.#samba.client('dead', 'ls');
      this.#checks.expect('and Samba forgets it', gone.said.includes('NT_STATUS_BAD_NETWORK_NAME'), gone.said);
      const reads = await this.#samba.client('alive', 'ls');
      this.#checks.expect('and serves the new one', reads.status === 0, reads.said);
    } finally {
      await next.end();
    }
  }

  /** Damage that only a checksum tells. Last: it ends smbd before the server. */
  async #damaged(): Promise<void> {
    const [image, file] = [path.join(this.#samba.directory, 'damaged.raw'), 'big/random.bin'];
    const bytes = readFileSync(path.join(this.#corpus, 'btrfs-single.raw'));
    writeFileSync(image, bytes);
    const opened = await openLocation(`${image}::/${file}`);
    const content = Buffer.alloc(64);
    try {
      const { tree, id } = await opened.node();
      await (await tree.open(id)).readInto(128 << 10, content);
    } finally {
      await opened.close();
    }
    const at = bytes.indexOf(content);
    const device = openSync(image, 'r+');
    writeSync(device, Buffer.from('damage!!'), 0, 8, at);
    closeSync(device);
    const share = await this.#serve(`${image}::/`, '--share', 'damaged');
    try {
      const { status, said } = await this.#samba.client('damaged', `get ${file} damaged-file`);
      this.#checks.expect('a client of a damaged file gets an error', at > 0 && status !== 0 && said.includes('NT_STATUS_IO_DEVICE_ERROR'), said);
      await this.#samba.stop();
    } finally {
      const code = await share.end();
      this.#checks.expect('exit code 3, also when smbd ended before', code === 3, `code ${code}: ${share.said}`);
    }
  }

  #nothingStays(): void {
    const files = readdirSync(this.#samba.includes).filter((name) => !name.startsWith('.') && name !== 'holdfast.conf');
    const mounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(this.#mounts);
    const directories = readdirSync(this.#mounts);
    this.#checks.expect('nothing stays', files.length === 0 && directories.length === 0 && !mounted, `${files.join(' ')}; ${directories.join(' ')}`);
  }
}

async function run(context: ScenarioContext): Promise<Tally> {
  const corpus = imagesFolder();
  if (corpus === undefined) {
    context.log('skip: no corpus of images');
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const checks = new Checks(context);
  if (!/^[\w./-]+$/.test(context.workDirectory)) throw new ToolError(`Serve below '${context.workDirectory}': Samba's configuration takes no such path`);
  const samba = await LabSamba.start(context.workDirectory);
  try {
    await new Round(checks, samba, corpus).run();
  } finally {
    await samba.stop();
  }
  return checks.tally;
}

/** See the module's comment. */
export const scenario: Scenario = { name: 'serve-smb', needs: ['root', 'smbd', 'smbclient', 'smbcontrol', 'smbpasswd', 'testparm', 'fusermount3'], quick: false, run };

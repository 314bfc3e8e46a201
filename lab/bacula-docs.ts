/**
 * `docs/bacula.md` as a new administrator would follow it: its configuration goes into the daemons' files as it is written, its commands run in order, and what was
 * restored is compared in metadata too. Only places differ: the page's directories lie in the scenario's folder.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { compareCopies, liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer } from './bacula/server.ts';
import { lostByBacula, Stand } from './bacula/stand.ts';
import { growFiles, SeededBytes } from './bacula/tree.ts';
import { repositoryRoot } from './environment.ts';
import { parseRunbook } from './runbook/document.ts';
import { shell } from './runbook/stage.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

/** What is there before: what is backed up, and Bacula's own. The page makes the rest. */
const FOLDERS = ['srv/www', 'srv', 'etc', 'var/lib/bacula'];

/** The blocks of one language. */
function blocksOf(text: string, language: string): string {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block).join('');
}

/** The page's places inside the scenario's folder, its daemons those of the lab. */
function relocate(text: string, stand: Stand, server: Pick<BaculaServer, 'setup'> | { readonly setup: Pick<BaculaServer['setup'], 'ports' | 'password'> } | undefined): string {
  const { ports, password } = server?.setup ?? { ports: { storage: 0 }, password: '' };
  return text
    .replaceAll('/var/lib/bacula/bacula.db', stand.path('bacula', 'director', 'bacula.db'))
    .replaceAll('/usr/local/bin/', `${stand.path('bin')}/`)
    .replaceAll(/(?<![\w/.])\/(srv|etc|var)\//g, `${stand.root}/$1/`)
    .replaceAll(/(?<==)\/srv\//g, `${stand.root}/srv/`)
    .replaceAll('web-fd', 'live-fd').replaceAll('SDPort = 9103', `SDPort = ${ports.storage}`).replaceAll("the storage daemon's", password);
}

/** Paths of the commands: the copy of `/srv/www` lies below its own full name again. */
function commandsOf(text: string, stand: Stand): string {
  const source = stand.path('srv', 'www');
  return relocate(text, stand, undefined).replaceAll(/(\/srv\/restored[a-z-]*)\/srv\/www/g, `$1${source}`).replaceAll('::/srv/www', `::${source}`);
}

class Page {
  readonly #stand: Stand;

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    for (const folder of FOLDERS) mkdirSync(this.#stand.path(folder), { recursive: true });
    const source = this.#stand.path('srv', 'www');
    growFiles(source, new SeededBytes(this.#stand.context.seed), 40, 100_000);
    const lines = await liveManifest(source);
    const text = readFileSync(path.join(repositoryRoot(), 'docs', 'bacula.md'), 'utf8');
    const server = await BaculaServer.start(installation, this.#stand.path('bacula'), {
      jobs: [], volumes: this.#stand.path('srv', 'volumes'),
      more: (made) => ({ director: relocate(blocksOf(text, 'bacula'), this.#stand, made), storage: relocate(blocksOf(text, 'bacula-sd'), this.#stand, made) }),
    });
    try {
      const bconsole = this.#stand.path('bin', 'bconsole');
      writeFileSync(bconsole, `#!/bin/sh\nexec ${installation.command('bconsole', '-n', '-c', this.#stand.path('bacula', 'bconsole.conf')).join(' ')}\n`);
      chmodSync(bconsole, 0o755);
      for (const step of parseRunbook(text)) {
        const { status, output, seconds } = await shell(commandsOf(step.commands, this.#stand), { PATH: `${this.#stand.path('bin')}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` });
        this.#stand.checks.expect(`${step.id}: the commands succeed (${seconds.toFixed(1)} s)`, status === 0, `exit ${status}: ${output.slice(-2500)}`);
        if (status !== 0) return this.#stand.checks.tally; // later steps need it
      }
      await this.#compare(lines);
    } finally {
      await server.stop();
    }
    return this.#stand.checks.tally;
  }

  async #compare(lines: readonly LiveLine[]): Promise<void> {
    for (const [name, ignored] of [['restored', undefined], ['restored-plain', lostByBacula], ['restored-fifo', lostByBacula]] as const) {
      this.#stand.none(`'/srv/${name}' is equal in md5 and metadata`, await this.#stand.differences(lines, this.#stand.path('srv', name), ignored));
    }
    const root = this.#stand.path('srv', 'again');
    const moved = (await liveManifest(root)).map((line) => ({ ...line, path: line.path.replace(root, this.#stand.path('srv', 'www')) }));
    this.#stand.none("'/srv/again' is equal in md5 and metadata", compareCopies(lines, moved, { below: '' }));
  }
}

const tools = ['root', 'sqlite3', 'jq', 'bash', 'awk', 'cmp', 'diff', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'];

/** About a minute. */
export const baculaDocs: Scenario = { name: 'bacula-docs', needs: [...baculaPrograms, ...tools], quick: true, run: (context) => new Page(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaDocs15: Scenario = {
  name: 'bacula-docs-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Page(context).run(await unpackTrixieBacula(context.workDirectory)),
};

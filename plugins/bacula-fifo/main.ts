#!/usr/bin/env node
/** `holdfast-bacula-fifo`: mode A over the storage daemon's FIFO device. See README.md. */
import { UsageError } from '../../src/core/index.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';
import { COMMON_USAGE, commonOptions, endWith, note, numberOption, openGivenRepository, readArguments, readKeyFiles, withShelf, type CommonValues } from '../shelf-command.ts';
import { confirmJob } from './confirm.ts';
import { feedVolume } from './feed.ts';
import { storeVolumes } from './store.ts';

/** How long `confirm` waits for a volume by default. */
const WAIT_SECONDS = 600;

const USAGE = `Usage:
  holdfast-bacula-fifo store   --repo REPO --fifo PATH --volume NAME…    store what the storage daemon writes
  holdfast-bacula-fifo feed    --repo REPO --fifo PATH --volume NAME     write a volume to the FIFO, for a restore
  holdfast-bacula-fifo confirm --repo REPO --volume NAME… [--job ID] [--files N] [--wait SECONDS]
                                                                         fail unless the job is stored whole; waits for it, ${WAIT_SECONDS} s by default
NAME… are several, with commas between or as several options
${COMMON_USAGE}`;

interface Values extends CommonValues {
  readonly fifo?: string | undefined;
  readonly volume?: string[] | undefined;
  readonly job?: string | undefined;
  readonly files?: string | undefined;
  readonly wait?: string | undefined;
}

function needed(values: Values, name: 'fifo'): string {
  const value = values[name];
  if (value === undefined || value === '') throw new UsageError(`Name it: --${name}\n${USAGE}`);
  return value;
}

/** Names also as Bacula lists them in `%v`: with `|` or commas between. */
function volumeNames(values: Values): readonly string[] {
  const names = (values.volume ?? []).flatMap((text) => text.split(/[|,]/)).filter((name) => name !== '');
  if (names.length === 0) throw new UsageError(`Name a volume: --volume\n${USAGE}`);
  return names;
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function store(values: Values): Promise<void> {
  const keys = readKeyFiles(values.key).map(({ bytes }) => bytes);
  const fifo = needed(values, 'fifo');
  const names = volumeNames(values);
  await withShelf(values, ({ shelf, repository }) => storeVolumes(fifo, names, { shelf, repository, keys, report: print }));
}

async function feed(values: Values): Promise<void> {
  const fifo = needed(values, 'fifo');
  const [name = '', ...others] = volumeNames(values);
  if (others.length > 0) throw new UsageError('Feed a volume: name one; each is a restore of its own');
  const repository = await openGivenRepository(values, 'read');
  try {
    const { openStoredVolume } = await import('../../src/services/volumes/index.ts');
    const volume = await openStoredVolume(repository, name, values.host);
    await feedVolume(fifo, volume);
    print({ volume: name, bytes: volume.size });
    await volume.close();
  } finally {
    await repository.close();
  }
}

async function confirm(values: Values): Promise<void> {
  const request = {
    volumes: volumeNames(values), keys: readKeyFiles(values.key).map(({ bytes }) => bytes), host: values.host,
    jobId: values.job === undefined ? undefined : numberOption('job', values.job, { fallback: 0, most: 0xffff_ffff }),
    files: values.files === undefined ? undefined : numberOption('files', values.files, { fallback: 0, most: 0xffff_ffff }),
    waitMs: numberOption('wait', values.wait, { fallback: WAIT_SECONDS, most: 86_400 }) * 1000,
    onWait: (problem: string) => { note(`waiting at most ${values.wait ?? WAIT_SECONDS} s for the volume: ${problem}`); },
  };
  const repository = await openGivenRepository(values, 'read');
  try {
    await confirmJob(repository, request);
    print({ confirmed: request.volumes, ...(request.jobId === undefined ? {} : { job: request.jobId }) });
  } finally {
    await repository.close();
  }
}

keepProcessSmall();
await endWith('holdfast-bacula-fifo', USAGE, async () => {
  const { values, positionals } = readArguments({
    args: process.argv.slice(2), allowPositionals: true, strict: true,
    options: {
      ...commonOptions, fifo: { type: 'string' }, volume: { type: 'string', multiple: true }, job: { type: 'string' }, files: { type: 'string' },
      wait: { type: 'string' },
    },
  });
  const [verb, ...rest] = positionals;
  const names = { ...values, volume: [...(values.volume ?? []), ...rest] };
  if (verb === 'store') await store(names);
  else if (verb === 'feed') await feed(names);
  else if (verb === 'confirm') await confirm(names);
  else throw new UsageError(`Run '${verb ?? ''}': no such command\n${USAGE}`);
  return 0;
});

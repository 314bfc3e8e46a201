/** `key`: slots of an encrypted repository, and rotation of its keys. */
import { UsageError } from '../../../core/index.ts';
import type { CipherName, SlotRequest, SlotRow } from '../../../engine/index.ts';
import { credentialsOf, noteReadableKeys } from '../../credentials.ts';
import type { NamedKey } from '../../locations/key-remarks.ts';
import { keyFromCommand, readKeys } from '../../locations/keys.ts';
import { openRepositoryKeys, repositoryKeySlots } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly newKey?: readonly string[];
  readonly newKeyCmd?: string;
  readonly label?: string;
  readonly cipher?: CipherName;
  readonly newRoot?: boolean;
}

function rowObject(row: SlotRow): object {
  return { ...row, createdText: new Date(row.created).toISOString() };
}

function rowLine({ id, kind, label, created, current }: SlotRow): string {
  return `${id}  ${kind.padEnd(10)}  ${new Date(created).toISOString().slice(0, 16).replace('T', ' ')}  ${label}${current ? '' : ' (of another root key: opens nothing)'}`.trimEnd();
}

function newKeysOf({ newKey = [], newKeyCmd }: Options): readonly NamedKey[] {
  const files = readKeys(newKey).map((bytes, i) => ({ bytes, name: newKey[i] ?? '' }));
  return newKeyCmd === undefined ? files : [...files, { bytes: keyFromCommand(newKeyCmd), name: 'of --new-key-cmd' }];
}

/** Slots for the new keys. @throws {UsageError} there is none, or one can't be used. */
function requestsOf(context: Context, options: Options, why: string): readonly SlotRequest[] {
  const keys = newKeysOf(options);
  const credentials = credentialsOf(keys);
  if (credentials.length === 0 || credentials.length < keys.length) throw new UsageError(`${why}: give --new-key FILE (32 random bytes, their hexadecimal digits or base64, or a passphrase) or --new-key-cmd COMMAND`);
  noteReadableKeys(keys, context.note);
  return credentials.map((credential) => ({ credential, ...(options.label === undefined ? {} : { label: options.label }) }));
}

async function list(context: Context, directory: string): Promise<Outcome> {
  const { slots, problems } = await repositoryKeySlots(directory, context);
  for (const row of slots) context.print(rowLine(row));
  for (const { name, reason } of problems) context.warn(`${name}: ${reason}`);
  if (slots.length + problems.length === 0) context.note(`'${directory}' has no key slots: it is not encrypted, and whoever reaches it can read it`);
  return { exitCode: problems.length > 0 ? 1 : 0, result: { slots: slots.map(rowObject), problems } };
}

async function add(context: Context, directory: string, options: Options): Promise<Outcome> {
  const requests = requestsOf(context, options, 'Add a key');
  const keys = await openRepositoryKeys(directory, { keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory });
  try {
    const rows: SlotRow[] = [];
    for (const request of requests) rows.push(await keys.add(request));
    for (const { id } of rows) context.print(`added key slot ${id}`);
    return { exitCode: 0, result: { slots: rows.map(rowObject) } };
  } finally {
    await keys.close();
  }
}

/** The slot that `text` names by its id or a beginning of it that no other has. */
async function slotOf(context: Context, directory: string, text: string): Promise<string> {
  if (text === '') throw new UsageError("Remove a key slot: name it; 'key list' shows them");
  const { slots, problems } = await repositoryKeySlots(directory, context);
  const ids = [...slots.map(({ id }) => id), ...problems.flatMap(({ name }) => (name.startsWith('keys/slot-') ? [name.slice('keys/slot-'.length)] : []))];
  const matches = ids.filter((id) => id.startsWith(text));
  const [id] = matches;
  if (id === undefined || matches.length > 1) throw new UsageError(`Remove key slot '${text}': ${matches.length} of '${ids.join("', '")}' begin so`);
  return id;
}

async function remove(context: Context, directory: string, text: string): Promise<Outcome> {
  const id = await slotOf(context, directory, text);
  const keys = await openRepositoryKeys(directory, { keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory });
  try {
    await keys.remove(id);
    context.print(`removed key slot ${id}; who kept a copy of it and knows its secret can be shut out with 'key rotate --new-root'`);
    return { exitCode: 0, result: { removed: id } };
  } finally {
    await keys.close();
  }
}

async function rotate(context: Context, directory: string, options: Options): Promise<Outcome> {
  const { cipher, newRoot = false } = options;
  if (!newRoot && newKeysOf(options).length > 0) throw new UsageError('Rotate keys with new credentials: --new-root is missing');
  const slots = newRoot ? requestsOf(context, options, 'Rotate to a new root key') : undefined;
  const keys = await openRepositoryKeys(directory, { keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory });
  try {
    const report = await keys.rotate({ ...(cipher === undefined ? {} : { cipher }), ...(slots === undefined ? {} : { newRoot: slots }) });
    context.print(`what is written from now on has data key ${report.dataKey}${newRoot ? `; ${report.removedSlots.length} earlier key slots are gone` : ''}`);
    return { exitCode: 0, result: report };
  } finally {
    await keys.close();
  }
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [action = '', directory = '', slot] = operands;
  if (slot !== undefined && action !== 'remove') throw new UsageError(`Read 'key ${action}': what is '${slot}'?`);
  switch (action) {
    case 'list': return list(context, directory);
    case 'add': return add(context, directory, options);
    case 'remove': return remove(context, directory, slot ?? '');
    case 'rotate': return rotate(context, directory, options);
    default: throw new UsageError(`Read 'key ${action}': expected list, add, remove or rotate`);
  }
}

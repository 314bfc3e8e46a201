/** `init`: a new repository. */
import { UsageError } from '../../../core/index.ts';
import type { CipherName, RepositoryChoices } from '../../../engine/index.ts';
import { credentialsOf, noteReadableKeys } from '../../credentials.ts';
import { createRepository } from '../../repositories.ts';
import { percentOf } from '../percent.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly hash: 'blake3' | 'sha256';
  readonly compression: 'zstd' | 'none';
  readonly encrypt?: boolean;
  readonly cipher?: CipherName;
  readonly label?: string;
  readonly parity?: string;
}

function encryptionOf(context: Context, { encrypt = false, cipher, label }: Options): RepositoryChoices['encryption'] {
  if (!encrypt) {
    if (context.keys.length > 0 || cipher !== undefined || label !== undefined) throw new UsageError('Make a repository with a key: --encrypt is missing');
    return undefined;
  }
  const slots = credentialsOf(context.keys).map((credential) => ({ credential, ...(label === undefined ? {} : { label }) }));
  if (slots.length < context.keys.length || slots.length === 0) {
    throw new UsageError('Encrypt a repository: give --key FILE (32 random bytes, their hexadecimal digits or base64, or a passphrase) or --key-cmd COMMAND');
  }
  noteReadableKeys(context.keys, context.note);
  return { slots, ...(cipher === undefined ? {} : { cipher }) };
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [directory = ''] = operands;
  const encryption = encryptionOf(context, options);
  const parity = options.parity === undefined ? 0 : percentOf(options.parity, '--parity');
  const repository = await createRepository(directory, { hash: options.hash, compression: options.compression, parity, ...(encryption === undefined ? {} : { encryption }) }, context);
  try {
    context.print(`made repository '${directory}', id ${repository.id}${encryption === undefined ? '' : ', encrypted: keep its keys, without one of them nothing can be read'}`);
    return { exitCode: 0, result: { id: repository.id, format: repository.format, parameters: repository.config, path: directory } };
  } finally {
    await repository.close();
  }
}

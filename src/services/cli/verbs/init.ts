/** `init`: a new repository. */
import { UnsupportedError } from '../../../core/index.ts';
import { createRepository } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly hash: 'blake3' | 'sha256';
  readonly compression: 'zstd' | 'none';
  readonly encrypt?: boolean;
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [directory = ''] = operands;
  if (options.encrypt === true) throw new UnsupportedError(`Make repository '${directory}': this version can't encrypt repositories`, { option: 'encrypt' });
  const repository = await createRepository(directory, { hash: options.hash, compression: options.compression });
  try {
    context.print(`made repository '${directory}', id ${repository.id}`);
    return { exitCode: 0, result: { id: repository.id, format: repository.format, parameters: repository.config, path: directory } };
  } finally {
    await repository.close();
  }
}

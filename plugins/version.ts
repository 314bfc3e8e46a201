/** The version in package.json, beside `dist/` both in a checkout and in an installed package. */
import { readFileSync } from 'node:fs';

/** As `--version` tells it. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

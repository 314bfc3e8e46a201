/** Samba's own programs: what its configuration says, and telling smbd. Source: testparm(1), smbcontrol(1). */
import { execFile } from 'node:child_process';
import { ToolError, UnsupportedError } from '../../core/index.ts';

const PROGRAM_MS = 60_000;

/** How a program ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. @throws {UnsupportedError} it is not there. @throws {ToolError} it did not end. */
export function runProgram(program: string, ...words: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: PROGRAM_MS, env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code as number | string | null | undefined;
      if (typeof code === 'number') resolve({ code, stdout, stderr });
      else if (code === 'ENOENT') reject(new UnsupportedError(`Run '${program}': it is not installed`, { program }));
      else reject(new ToolError(`Run '${program} ${words.join(' ')}': ${error?.message ?? ''}`, { program }, error));
    });
  });
}

/** The smbd that uses a configuration file. */
export class Samba {
  readonly #file: string | undefined;

  /** @param file an absolute path; undefined for the one that Samba was built with. */
  constructor(file: string | undefined) {
    this.#file = file;
  }

  #control(...words: readonly string[]): Promise<Ran> {
    return runProgram('smbcontrol', ...(this.#file === undefined ? [] : [`--configfile=${this.#file}`]), ...words);
  }

  /** @throws {ToolError} no smbd runs with that configuration. */
  async checkRunning(): Promise<void> {
    const { code, stderr } = await this.#control('smbd', 'ping');
    if (code !== 0) throw new ToolError(`Reach smbd: ${stderr.trim() || 'it does not answer'}; start it (systemctl start smbd), or name its configuration by --smb-conf`);
  }

  /** The directory that the configuration gives a share; undefined when there is no such share. @throws {ToolError} the configuration can't be read. */
  async pathOf(share: string): Promise<string | undefined> {
    const { code, stdout, stderr } = await runProgram('testparm', '--suppress-prompt', `--section-name=${share}`, '--parameter-name=path', ...(this.#file === undefined ? [] : [this.#file]));
    if (code === 0) return stdout.trim();
    if (/^Unknown section/m.test(stderr)) return undefined;
    throw new ToolError(`Read Samba's configuration: testparm ended with '${code}': ${stderr.trim().slice(-500)}`);
  }

  /** Makes smbd read its configuration again. @throws {ToolError} */
  async reload(): Promise<void> {
    const { code, stderr } = await this.#control('all', 'reload-config');
    if (code !== 0) throw new ToolError(`Reload smbd: ${stderr.trim()}`);
  }

  /** Disconnects the clients of a share; nothing happens when smbd is gone. */
  async closeShare(share: string): Promise<void> {
    await this.#control('smbd', 'close-share', share);
  }
}

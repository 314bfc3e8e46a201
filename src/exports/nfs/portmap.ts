/** The portmapper, version 2, that knows one port: all programs are served there. Source: RFC 1833, section 3. */
import type { Program } from './rpc.ts';

const PORTMAP = 100_000;
const TCP = 6;

/** Answers where `programs` are: all at `port()`. */
export function portmapProgram(programs: readonly Pick<Program, 'program' | 'version'>[], port: () => number): Program {
  const known = [{ program: PORTMAP, version: 2 }, ...programs];
  return {
    program: PORTMAP,
    version: 2,
    procedures: {
      0: () => undefined,
      3: (args, results) => {
        const [program, , protocol] = [args.u32(), args.u32(), args.u32()];
        args.u32();
        results.u32(protocol === TCP && known.some((one) => one.program === program) ? port() : 0);
      },
      4: (_, results) => {
        for (const { program, version } of known) results.u32(1).u32(program).u32(version).u32(TCP).u32(port());
        results.u32(0);
      },
    },
  };
}

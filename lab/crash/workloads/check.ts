/** A check with data, beside nobody. */
import { Violation } from '../bench.ts';
import { mixed } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Changes nothing, and may report only what the fault explains. */
export const check: Workload = {
  name: 'check',
  async prepare(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, mixed(1));
    await repository.close();
  },
  async run(bench) {
    const repository = await bench.open();
    const problems: string[] = [];
    const report = await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { problems.push(`${kind} ${where}: ${message}`); } });
    if (!bench.machine.hit && problems.length > 0) throw new Violation('I5 check finds nothing', problems.join('; '));
    if (report.ok !== (problems.length === 0)) throw new Violation('I6 a check says what it found', `ok ${String(report.ok)} with '${problems.length}' problems`);
    await repository.close();
  },
};

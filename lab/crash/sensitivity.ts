/** Scenario: the engine without one of its durability steps must break a promise. */
import { Checks } from '../checks.ts';
import type { Scenario } from '../scenario.ts';
import { campaignProcess } from './crash-simulated.ts';
import { mutations } from './mutations.ts';

/** Minutes for one mutation; most are noticed within seconds. */
const MINUTES = '1';

/** Whether the simulation notices what it is there for. */
export const crashSensitivity: Scenario = {
  name: 'crash-sensitivity',
  needs: [],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const todo = [...mutations];
    const work = async (): Promise<void> => {
      for (let mutation = todo.shift(); mutation !== undefined; mutation = todo.shift()) {
        const words = ['--mutation', mutation.name, '--eager', '--minutes', MINUTES];
        const { status, broken, stderr } = await campaignProcess(words);
        checks.expect(`it is noticed when not: ${mutation.what}`, broken.length > 0, `exit ${status} ${stderr.slice(-300)}`);
      }
    };
    await Promise.all([work(), work()]);
    return checks.tally;
  },
};

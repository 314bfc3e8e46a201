/** What a check finds. Kinds: `docs/formats/README.md`. */
import { HoldfastError } from '../../core/index.ts';

/** One thing that is wrong. */
export interface CheckProblem {
  readonly kind: string;
  readonly where: string;
  readonly message: string;
}

/** Told of each problem as it is found. */
export type ProblemSink = (kind: string, where: string, cause: unknown) => void;

/** A sink that counts nothing and hands over problems. @throws by it, what is no damage: a defect of this program. */
export function problemSink(onProblem: (problem: CheckProblem) => void): ProblemSink {
  return (kind, where, cause) => {
    if (cause instanceof Error && !(cause instanceof HoldfastError) && !(cause instanceof RangeError)) throw cause;
    onProblem({ kind, where, message: cause instanceof Error ? cause.message : String(cause) });
  };
}

/** How a program of ours ends. */

/**
 * Ends this process with `process.exitCode` once stdout and stderr are written out; call it when all else is closed. Waiting for the
 * event loop to run dry instead can hang for ever in Node's drain of compiler threads (nodejs/node#54918; seen once, on Node 20.20).
 */
export async function endProcess(): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => { stream.write('', () => { resolve(); }); });
  process.exit();
}

/** How threads of ours are started. */

/**
 * To be spread into the options of a `Worker` whose program is a file. Threads take over the arguments of Node, and one that says what kind of program was given as
 * text (`node --input-type=module -e …`) would keep them from starting: then they get none. Source: Node.js, command-line options, `--input-type`.
 */
export function threadArguments(given: readonly string[] = process.execArgv): { readonly execArgv?: string[] } {
  return given.some((one) => /^--input-type(?:=|$)/.test(one)) ? { execArgv: [] } : {};
}

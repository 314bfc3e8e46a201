/** Options that most verbs have. All verbs take them; the help of a verb names those that mean something to it, `holdfast help` describes them. */
import { Option, type Command } from 'commander';

interface GeneralOption {
  readonly flags: string;
  readonly description: string;
  /** Verbs that it says nothing to. They take it all the same: a script may give it to each command. */
  readonly notFor: readonly string[];
  /** It may be repeated. */
  readonly isList?: boolean;
}

/** Verbs that open no repository and no location themselves. */
const openNothing = ['daemon', 'enroll'];
/** Verbs that need the objects of a repository, which are never behind a daemon. */
const needObjects = ['init', 'clone', 'forget', 'gc', 'key'];
/** Verbs that show no attributes of files. */
const needNoNames = [...openNothing, ...needObjects, 'snapshots', 'cat', 'convert', 'info', 'disks'];

const general: readonly GeneralOption[] = [
  { flags: '--json', description: 'print one JSON object on stdout', notFor: [] },
  { flags: '-q, --quiet', description: 'no progress and no notes on stderr', notFor: [] },
  { flags: '--key <file>', description: 'key of an encrypted layer', notFor: [...openNothing, 'clone'], isList: true },
  { flags: '--key-cmd <command>', description: 'command that prints a key', notFor: [...openNothing, 'clone'] },
  { flags: '--cache-dir <directory>', description: 'where caches of repositories in buckets and behind daemons are; default HOLDFAST_CACHE_DIR, else ~/.cache/holdfast', notFor: openNothing },
  { flags: '--wire-key <file>', description: 'key for holdfast://HOST[:PORT][/DOMAIN], of the site or of this host; default HOLDFAST_WIRE_KEY_FILE', notFor: [...openNothing, ...needObjects] },
  { flags: '--map-user <name=id>', description: 'id of a user name in ACLs of a volume, where this host has another or none', notFor: needNoNames, isList: true },
  { flags: '--map-group <name=id>', description: 'the same for a group', notFor: needNoNames, isList: true },
];

/** The value of an option that may be repeated, for commander. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** Adds them to a verb, whose help gets one line about them. */
export function addGeneralOptions(command: Command): void {
  for (const { flags, description, isList = false } of general) {
    const option = new Option(flags, description).hideHelp();
    command.addOption(isList ? option.argParser(collect) : option);
  }
  const named = general.filter(({ notFor }) => !notFor.includes(command.name())).map(({ flags }) => flags.replace(/ <.*|-q, /, ''));
  command.addHelpText('after', `\nGeneral options ('holdfast help' describes them): ${named.join(', ')}`);
}

/** Their description, for the help of the program. */
export function generalHelp(): string {
  const width = Math.max(...general.map(({ flags }) => flags.length));
  return ['', 'General options of verbs:', ...general.map(({ flags, description, isList = false }) => `  ${flags.padEnd(width)}  ${description}${isList ? ' (may be repeated)' : ''}`)].join('\n');
}

/**
 * Bacula's four configuration files for one director, one storage daemon and one client, all on loopback.
 * One directive per line: Bacula's parser lets some values swallow a `;` or `}` that follows on the same line.
 * Source: Bacula main manual, "Configuring the Director", "Storage Daemon Configuration", "Client/File daemon Configuration".
 */

/** One resource: its directives in order, then nested resources. */
export interface Resource {
  readonly kind: string;
  readonly directives: readonly (readonly [name: string, value: string | number])[];
  readonly children?: readonly Resource[];
}

/** A backup job with its own FileSet, Pool and list file of paths (`<directory>/<name>.list`, read by the client when the job starts). */
export interface JobSetup {
  readonly name: string;
  /** Options of the FileSet, such as `['signature', 'SHA256']`. */
  readonly options: readonly (readonly [name: string, value: string])[];
  readonly accurate?: boolean;
  /** The pool makes a new volume after so many bytes. */
  readonly volumeBytesMax?: number;
}

/** TCP ports of the three daemons. */
export interface Ports {
  readonly director: number;
  readonly client: number;
  readonly storage: number;
}

/** What the files say. */
export interface Setup {
  /** Holds everything: working directories, volumes, list files, log. */
  readonly directory: string;
  readonly pluginDirectory: string;
  readonly ports: Ports;
  readonly password: string;
  readonly jobs: readonly JobSetup[];
}

const loopback = '127.0.0.1';

/** Text of a resource as Bacula reads it. */
export function renderResource(resource: Resource, indent = ''): string {
  const lines = resource.directives.map(([name, value]) => `${indent}  ${name} = ${value}\n`);
  const children = (resource.children ?? []).map((child) => renderResource(child, `${indent}  `));
  return `${indent}${resource.kind} {\n${lines.join('')}${children.join('')}${indent}}\n`;
}

function quoted(text: string): string {
  return `"${text}"`;
}

/** Name of the catalog's list file for a job's paths. */
export function listFile(setup: Setup, job: string): string {
  return `${setup.directory}/${job}.list`;
}

function jobResources(setup: Setup, job: JobSetup): readonly Resource[] {
  const bytes: Resource['directives'] = job.volumeBytesMax === undefined ? [] : [['Maximum Volume Bytes', job.volumeBytesMax]];
  const include: Resource = {
    kind: 'Include',
    directives: [['File', quoted(`\\\\<${listFile(setup, job.name)}`)]],
    children: [{ kind: 'Options', directives: job.options }],
  };
  return [
    { kind: 'FileSet', directives: [['Name', job.name]], children: [include] },
    { kind: 'Pool', directives: [['Name', job.name], ['Pool Type', 'Backup'], ['Storage', 'File'], ['Recycle', 'no'], ['AutoPrune', 'no'], ['Label Format', quoted(`${job.name}-`)], ...bytes] },
    {
      kind: 'Job',
      directives: [['Name', job.name], ['Type', 'Backup'], ['Level', 'Full'], ['Client', 'live-fd'], ['FileSet', job.name], ['Pool', job.name], ['Storage', 'File'],
        ['Messages', 'Standard'], ['Accurate', job.accurate === true ? 'yes' : 'no'], ['Maximum Concurrent Jobs', 5]],
    },
  ];
}

/** The director's file: `dir.conf`. */
export function directorFile(setup: Setup): string {
  const { directory, ports, password, jobs } = setup;
  const first = jobs[0]?.name ?? '';
  const fixed: readonly Resource[] = [
    { kind: 'Director', directives: [['Name', 'live-dir'], ['DIRport', ports.director], ['DirAddress', loopback], ['QueryFile', quoted('/etc/bacula/scripts/query.sql')],
      ['WorkingDirectory', quoted(`${directory}/director`)], ['PidDirectory', quoted(`${directory}/run`)], ['Maximum Concurrent Jobs', 10], ['Password', quoted(password)], ['Messages', 'Standard']] },
    { kind: 'Catalog', directives: [['Name', 'Catalog'], ['dbname', quoted('bacula')], ['dbuser', quoted('')], ['dbpassword', quoted('')]] },
    { kind: 'Messages', directives: [['Name', 'Standard'], ['append', `${quoted(`${directory}/bacula.log`)} = all, !skipped`]] },
    { kind: 'Client', directives: [['Name', 'live-fd'], ['Address', loopback], ['FDPort', ports.client], ['Catalog', 'Catalog'], ['Password', quoted(password)], ['AutoPrune', 'no'], ['Maximum Concurrent Jobs', 5]] },
    { kind: 'Storage', directives: [['Name', 'File'], ['Address', loopback], ['SDPort', ports.storage], ['Password', quoted(password)], ['Device', 'FileDevice'], ['Media Type', 'File'], ['Maximum Concurrent Jobs', 5]] },
  ];
  const restore: Resource = { kind: 'Job', directives: [['Name', 'restore'], ['Type', 'Restore'], ['Client', 'live-fd'], ['FileSet', first], ['Storage', 'File'], ['Pool', first], ['Messages', 'Standard'], ['Where', quoted(`${directory}/restored`)]] };
  return [...fixed, ...jobs.flatMap((job) => jobResources(setup, job)), restore].map((resource) => renderResource(resource)).join('');
}

function directorAccess(password: string): Resource {
  return { kind: 'Director', directives: [['Name', 'live-dir'], ['Password', quoted(password)]] };
}

/** The storage daemon's file: `sd.conf`. Volumes are files in `<directory>/volumes`. */
export function storageFile(setup: Setup): string {
  const { directory, ports, password } = setup;
  return [
    { kind: 'Storage', directives: [['Name', 'live-sd'], ['SDPort', ports.storage], ['SDAddress', loopback], ['WorkingDirectory', quoted(`${directory}/storage`)], ['PidDirectory', quoted(`${directory}/run`)], ['Maximum Concurrent Jobs', 10]] },
    directorAccess(password),
    { kind: 'Messages', directives: [['Name', 'Standard'], ['director', 'live-dir = all']] },
    { kind: 'Device', directives: [['Name', 'FileDevice'], ['Media Type', 'File'], ['Device Type', 'File'], ['Archive Device', quoted(`${directory}/volumes`)], ['LabelMedia', 'yes'],
      ['Random Access', 'yes'], ['AutomaticMount', 'yes'], ['RemovableMedia', 'no'], ['AlwaysOpen', 'no'], ['Maximum Concurrent Jobs', 5]] },
  ].map((resource) => renderResource(resource as Resource)).join('');
}

/** The client's file: `fd.conf`. */
export function clientFile(setup: Setup): string {
  const { directory, ports, password, pluginDirectory } = setup;
  const daemon: Resource = { kind: 'FileDaemon', directives: [['Name', 'live-fd'], ['FDport', ports.client], ['FDAddress', loopback], ['WorkingDirectory', quoted(`${directory}/client`)],
    ['Pid Directory', quoted(`${directory}/run`)], ['Maximum Concurrent Jobs', 10], ['Plugin Directory', quoted(pluginDirectory)]] };
  const messages: Resource = { kind: 'Messages', directives: [['Name', 'Standard'], ['director', 'live-dir = all, !skipped, !restored']] };
  return [daemon, directorAccess(password), messages].map((resource) => renderResource(resource)).join('');
}

/** The console's file: `bconsole.conf`. */
export function consoleFile(setup: Setup): string {
  return renderResource({ kind: 'Director', directives: [['Name', 'live-dir'], ['DIRport', setup.ports.director], ['address', loopback], ['Password', quoted(setup.password)]] });
}

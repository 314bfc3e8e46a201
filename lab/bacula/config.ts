/**
 * Bacula's four configuration files for one director, one storage daemon and one client, all on loopback.
 * One directive per line: Bacula's parser lets some values swallow a `;` or `}` that follows on the same line.
 * Source: Bacula main manual, chapters on configuring the Director, the Storage daemon, the File daemon and the Console.
 */

/** Directives by name, in order. Bacula ignores blanks and case in names. */
export type Directives = Readonly<Record<string, string | number>>;

/** One resource: its directives, then nested resources. */
export interface Resource {
  readonly kind: string;
  readonly directives: Directives;
  readonly children?: readonly Resource[];
}

/** A backup job with a FileSet and a Pool of its own. */
export interface JobSetup {
  readonly name: string;
  /** Options of the FileSet, such as `{ signature: 'SHA256' }`. */
  readonly options: Directives;
  readonly accurate?: boolean;
  /** The pool goes on with a new volume after so many bytes. */
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
const jobsMax = 10;

/** Text of a resource as Bacula reads it. */
export function renderResource(resource: Resource, indent = ''): string {
  const lines = Object.entries(resource.directives).map(([name, value]) => `${indent}  ${name} = ${value}\n`);
  const children = (resource.children ?? []).map((child) => renderResource(child, `${indent}  `));
  return `${indent}${resource.kind} {\n${lines.join('')}${children.join('')}${indent}}\n`;
}

function render(resources: readonly Resource[]): string {
  return resources.map((resource) => renderResource(resource)).join('');
}

function quoted(text: string): string {
  return `"${text}"`;
}

/** The file from which the client takes a job's paths, one a line, when the job starts. */
export function listFile(setup: Setup, job: string): string {
  return `${setup.directory}/${job}.list`;
}

function jobResources(setup: Setup, job: JobSetup): readonly Resource[] {
  const { name, options, accurate, volumeBytesMax } = job;
  const paths = { File: quoted(`\\\\<${listFile(setup, name)}`) };
  const include: Resource = { kind: 'Include', directives: paths, children: [{ kind: 'Options', directives: options }] };
  const pool = { Name: name, PoolType: 'Backup', Storage: 'File', Recycle: 'no', AutoPrune: 'no', LabelFormat: quoted(`${name}-`) };
  return [
    { kind: 'FileSet', directives: { Name: name }, children: [include] },
    { kind: 'Pool', directives: volumeBytesMax === undefined ? pool : { ...pool, MaximumVolumeBytes: volumeBytesMax } },
    { kind: 'Job', directives: { ...jobDirectives(name, name), Type: 'Backup', Level: 'Full', Accurate: accurate === true ? 'yes' : 'no' } },
  ];
}

function jobDirectives(name: string, pool: string): Directives {
  return { Name: name, Client: 'live-fd', FileSet: pool, Pool: pool, Storage: 'File', Messages: 'Standard' };
}

function daemonDirectives(setup: Setup, folder: string): Directives {
  const { directory } = setup;
  return { WorkingDirectory: quoted(`${directory}/${folder}`), PidDirectory: quoted(`${directory}/run`), MaximumConcurrentJobs: jobsMax };
}

function directorAccess(setup: Setup): Resource {
  return { kind: 'Director', directives: { Name: 'live-dir', Password: quoted(setup.password) } };
}

/** The director's file: `dir.conf`. */
export function directorFile(setup: Setup): string {
  const { directory, ports, jobs } = setup;
  const password = quoted(setup.password);
  const first = jobs[0]?.name ?? '';
  return render([
    {
      kind: 'Director',
      directives: {
        Name: 'live-dir', DIRport: ports.director, DirAddress: loopback, QueryFile: quoted('/etc/bacula/scripts/query.sql'),
        ...daemonDirectives(setup, 'director'), Password: password, Messages: 'Standard',
      },
    },
    { kind: 'Catalog', directives: { Name: 'Catalog', dbname: quoted('bacula'), dbuser: quoted(''), dbpassword: quoted('') } },
    { kind: 'Messages', directives: { Name: 'Standard', append: `${quoted(`${directory}/bacula.log`)} = all, !skipped` } },
    { kind: 'Client', directives: { Name: 'live-fd', Address: loopback, FDPort: ports.client, Catalog: 'Catalog', Password: password, AutoPrune: 'no' } },
    { kind: 'Storage', directives: { Name: 'File', Address: loopback, SDPort: ports.storage, Password: password, Device: 'FileDevice', MediaType: 'File' } },
    ...jobs.flatMap((job) => jobResources(setup, job)),
    { kind: 'Job', directives: { ...jobDirectives('restore', first), Type: 'Restore', Where: quoted(`${directory}/restored`) } },
  ]);
}

/** The storage daemon's file: `sd.conf`. Volumes are files in `<directory>/volumes`. */
export function storageFile(setup: Setup): string {
  const { directory, ports } = setup;
  return render([
    { kind: 'Storage', directives: { Name: 'live-sd', SDPort: ports.storage, SDAddress: loopback, ...daemonDirectives(setup, 'storage') } },
    directorAccess(setup),
    { kind: 'Messages', directives: { Name: 'Standard', director: 'live-dir = all' } },
    {
      kind: 'Device',
      directives: {
        Name: 'FileDevice', MediaType: 'File', DeviceType: 'File', ArchiveDevice: quoted(`${directory}/volumes`), LabelMedia: 'yes',
        RandomAccess: 'yes', AutomaticMount: 'yes', RemovableMedia: 'no', AlwaysOpen: 'no',
      },
    },
  ]);
}

/** The client's file: `fd.conf`. */
export function clientFile(setup: Setup): string {
  const { ports, pluginDirectory } = setup;
  const plugins = { PluginDirectory: quoted(pluginDirectory) };
  return render([
    { kind: 'FileDaemon', directives: { Name: 'live-fd', FDport: ports.client, FDAddress: loopback, ...daemonDirectives(setup, 'client'), ...plugins } },
    directorAccess(setup),
    { kind: 'Messages', directives: { Name: 'Standard', director: 'live-dir = all, !skipped, !restored' } },
  ]);
}

/** The console's file: `bconsole.conf`. */
export function consoleFile(setup: Setup): string {
  return render([{ kind: 'Director', directives: { Name: 'live-dir', DIRport: setup.ports.director, address: loopback, Password: quoted(setup.password) } }]);
}

/**
 * Bacula's four configuration files for one director, one storage daemon and one client, all on loopback.
 * One directive per line: Bacula's parser lets some values swallow a `;` or `}` that follows on the same line.
 * Source: Bacula main manual, chapters on configuring the Director, the Storage daemon, the File daemon and the Console.
 */

/** Directives by name, in order; a list is one directive a line. Bacula ignores blanks and case in names. */
export type Directives = Readonly<Record<string, string | number | readonly string[]>>;

/** One resource: its directives, then nested resources. */
export interface Resource {
  readonly kind: string;
  readonly directives: Directives;
  readonly children?: readonly Resource[];
}

/** A command that Bacula runs around a job. */
export interface RunScript {
  readonly when: 'Before' | 'After' | 'AfterVSS';
  /** On the client's machine, else on the director's. */
  readonly onClient: boolean;
  readonly command: string;
  /** FailJobOnError; Bacula's default is yes. */
  readonly failsJob?: boolean;
}

/** A device of the storage daemon beside the folder of volume files, which is always there as `File`. */
export interface DeviceSetup {
  /** Of the device, of the director's Storage resource, and its media type. */
  readonly name: string;
  /** A FIFO, another folder for volume files (on a file system of its own, say), or a folder with an autochanger of two drives, each for one job at a time. */
  readonly kind: 'fifo' | 'file' | 'changer';
  readonly archive: string;
}

/** A backup job with a FileSet and a Pool of its own. */
export interface JobSetup {
  readonly name: string;
  /** Options of the FileSet, such as `{ signature: 'SHA256' }`. */
  readonly options: Directives;
  readonly accurate?: boolean;
  /** The pool goes on with a new volume after so many bytes. */
  readonly volumeBytesMax?: number;
  /** The pool goes on with a new volume after so many jobs. */
  readonly volumeJobsMax?: number;
  /** Lines `Plugin =` of the FileSet. */
  readonly plugins?: readonly string[];
  readonly scripts?: readonly RunScript[];
  /** Name of a device; default `File`. */
  readonly device?: string;
  /** The storage daemon collects the job's data in its spool, a little at a time, before it writes them. */
  readonly isSpooled?: boolean;
  /** Another job whose pool, and so whose volumes, it uses; the pool's settings are that job's. */
  readonly poolOf?: string;
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
  readonly devices?: readonly DeviceSetup[];
  /** Of the restore job. */
  readonly restoreScripts?: readonly RunScript[];
  /** Folder of the volume files; default `<directory>/volumes`. */
  readonly volumes?: string;
  /** Resources as text, to be added to the director's and the storage daemon's files. */
  readonly more?: (setup: { readonly setup: Pick<Setup, 'ports' | 'password'> }) => { readonly director: string; readonly storage: string };
  /** The client encrypts with this PEM file of a certificate and its private key. */
  readonly keyPair?: string;
}

/** What a scenario chooses of a {@link Setup}. */
export type SetupChoices = Pick<Setup, 'devices' | 'restoreScripts' | 'keyPair' | 'volumes' | 'more'>;

const loopback = '127.0.0.1';
const jobsMax = 10;
/** So small that a spooled job fills it several times. */
const SPOOL_BYTES = 900_000;

/** Text of a resource as Bacula reads it. */
export function renderResource(resource: Resource, indent = ''): string {
  const pairs = Object.entries(resource.directives).flatMap(([name, value]) => (typeof value === 'object' ? value : [value]).map((one) => ({ name, value: one })));
  const lines = pairs.map(({ name, value }) => `${indent}  ${name} = ${value}\n`);
  const children = (resource.children ?? []).map((child) => renderResource(child, `${indent}  `));
  return `${indent}${resource.kind} {\n${lines.join('')}${children.join('')}${indent}}\n`;
}

function render(resources: readonly Resource[]): string {
  return resources.map((resource) => renderResource(resource)).join('');
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

/** The file from which the client takes a job's paths, one a line, when the job starts. */
export function listFile(setup: Setup, job: string): string {
  return `${setup.directory}/${job}.list`;
}

function scriptResources(scripts: readonly RunScript[] = []): readonly Resource[] {
  return scripts.map(({ when, onClient, command, failsJob }) => ({
    kind: 'RunScript', directives: { RunsWhen: when, RunsOnClient: yesNo(onClient), FailJobOnError: yesNo(failsJob ?? true), RunsOnFailure: 'yes', Command: quoted(command) },
  }));
}

function jobResources(setup: Setup, job: JobSetup): readonly Resource[] {
  const { name, options, accurate, volumeBytesMax, volumeJobsMax, plugins = [], scripts, device = 'File', poolOf, isSpooled = false } = job;
  const paths: Directives = plugins.length > 0 ? { Plugin: plugins.map(quoted) } : { File: `"\\\\<${listFile(setup, name)}"` };
  const include: Resource = { kind: 'Include', directives: paths, children: [{ kind: 'Options', directives: options }] };
  const pool: Directives = {
    Name: name, PoolType: 'Backup', Storage: device, Recycle: 'no', AutoPrune: 'no', LabelFormat: quoted(`${name}-`),
    ...(volumeBytesMax === undefined ? {} : { MaximumVolumeBytes: volumeBytesMax }), ...(volumeJobsMax === undefined ? {} : { MaximumVolumeJobs: volumeJobsMax }),
  };
  return [
    { kind: 'FileSet', directives: { Name: name }, children: [include] },
    ...(poolOf === undefined ? [{ kind: 'Pool', directives: pool }] : []),
    { kind: 'Job', directives: { ...jobDirectives(name, name, device), Pool: poolOf ?? name, Type: 'Backup', Level: 'Full', Accurate: yesNo(accurate === true), SpoolData: yesNo(isSpooled) }, children: scriptResources(scripts) },
  ];
}

function yesNo(flag: boolean): 'yes' | 'no' {
  return flag ? 'yes' : 'no';
}

function jobDirectives(name: string, pool: string, device: string): Directives {
  return { Name: name, Client: 'live-fd', FileSet: pool, Pool: pool, Storage: device, Messages: 'Standard', MaximumConcurrentJobs: jobsMax };
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
  // A restore job names a FileSet and a Pool, and uses neither.
  const first = jobs[0]?.name ?? 'Default';
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
    // By Bacula's default of one, jobs that are started at once would wait for each other.
    { kind: 'Client', directives: { Name: 'live-fd', Address: loopback, FDPort: ports.client, Catalog: 'Catalog', Password: password, AutoPrune: 'no', MaximumConcurrentJobs: jobsMax } },
    ...devicesOf(setup).map((device) => storageResource(device, ports, password)),
    ...(jobs.length > 0 ? [] : [{ kind: 'FileSet', directives: { Name: first } }]),
    { kind: 'Pool', directives: { Name: 'Default', PoolType: 'Backup', LabelFormat: quoted('volume-') } },
    ...jobs.flatMap((job) => jobResources(setup, job)),
    { kind: 'Job', directives: { ...jobDirectives('restore', first, 'File'), Type: 'Restore', Where: quoted(`${directory}/restored`) }, children: scriptResources(setup.restoreScripts) },
  ]) + (setup.more?.({ setup }).director ?? '');
}

function storageResource({ name, kind }: DeviceSetup, ports: Ports, password: string): Resource {
  const changer: Directives = kind === 'changer' ? { Autochanger: 'yes' } : {};
  return { kind: 'Storage', directives: { Name: name, Address: loopback, SDPort: ports.storage, Password: password, Device: `${name}Device`, MediaType: name, MaximumConcurrentJobs: jobsMax, ...changer } };
}

/** The folder of volume files first. */
function devicesOf({ directory, volumes = `${directory}/volumes`, devices = [] }: Setup): readonly DeviceSetup[] {
  return [{ name: 'File', kind: 'file', archive: volumes }, ...devices];
}

const ofFiles: Directives = { DeviceType: 'File', RandomAccess: 'yes', AutomaticMount: 'yes' };
const ofFifos: Directives = { DeviceType: 'Fifo', RandomAccess: 'no', AutomaticMount: 'no', MaximumOpenWait: 60, MaximumConcurrentJobs: 1 };

function deviceResources({ name, kind, archive }: DeviceSetup): readonly Resource[] {
  const device = (own: Directives): Resource => ({
    kind: 'Device',
    directives: { Name: `${name}Device`, MediaType: name, ArchiveDevice: quoted(archive), LabelMedia: 'yes', RemovableMedia: 'no', AlwaysOpen: 'no', MaximumJobSpoolSize: SPOOL_BYTES, ...own },
  });
  if (kind !== 'changer') return [device(kind === 'file' ? ofFiles : ofFifos)];
  const drives = [0, 1].map((index) => ({ Name: `${name}Drive${index}`, Autochanger: 'yes', DriveIndex: index, MaximumConcurrentJobs: 1 }));
  return [
    ...drives.map((drive) => device({ ...ofFiles, ...drive })),
    { kind: 'Autochanger', directives: { Name: `${name}Device`, Device: drives.map(({ Name }) => Name), ChangerCommand: quoted(''), ChangerDevice: '/dev/null' } },
  ];
}

/** The storage daemon's file: `sd.conf`. Volumes of the device `File` are files in `<directory>/volumes`. */
export function storageFile(setup: Setup): string {
  const { ports } = setup;
  return render([
    { kind: 'Storage', directives: { Name: 'live-sd', SDPort: ports.storage, SDAddress: loopback, ...daemonDirectives(setup, 'storage') } },
    directorAccess(setup),
    { kind: 'Messages', directives: { Name: 'Standard', director: 'live-dir = all' } },
    ...devicesOf(setup).flatMap(deviceResources),
  ]) + (setup.more?.({ setup }).storage ?? '');
}

/** The client's file: `fd.conf`. */
export function clientFile(setup: Setup): string {
  const { ports, pluginDirectory } = setup;
  const plugins = { PluginDirectory: quoted(pluginDirectory) };
  const { keyPair } = setup;
  const encryption: Directives = keyPair === undefined ? {} : { PKISignatures: 'yes', PKIEncryption: 'yes', PKIKeypair: quoted(keyPair) };
  return render([
    { kind: 'FileDaemon', directives: { Name: 'live-fd', FDport: ports.client, FDAddress: loopback, ...daemonDirectives(setup, 'client'), ...plugins, ...encryption } },
    directorAccess(setup),
    { kind: 'Messages', directives: { Name: 'Standard', director: 'live-dir = all, !skipped, !restored' } },
  ]);
}

/** The console's file: `bconsole.conf`. */
export function consoleFile(setup: Setup): string {
  return render([{ kind: 'Director', directives: { Name: 'live-dir', DIRport: setup.ports.director, address: loopback, Password: quoted(setup.password) } }]);
}

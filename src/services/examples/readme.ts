/** The library example of the README, compiled and run by a test: `node dist/src/services/examples/readme.js REPOSITORY SOURCE`. */
import { backupPaths, createRepository, openLocation, openRepository, readRange } from '../index.ts';

const [directory = 'repo', source = '/etc'] = process.argv.slice(2);
const repository = await createRepository(directory).catch(() => openRepository(directory, { mode: 'write' })); // made the first time
const { snapshot, chunksNew } = await backupPaths(repository, [source]);
console.log(`stored snapshot ${snapshot}: ${chunksNew} new chunks`);
await repository.close();

const location = await openLocation(`${directory}::latest::${source}/hostname`);
const { tree, id } = await location.node();
const file = await tree.open(id);
console.log(Buffer.from(await readRange(file, 0, file.size)).toString());
await location.close();

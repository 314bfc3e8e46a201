/** The second library example of the README: `node dist/src/services/examples/guest.js LOCATION`. */
import { openLocation, textOf } from '../index.ts';

const location = await openLocation(process.argv[2] ?? 'disk.qcow2::p2::/etc');
const { tree, id } = await location.node();
for await (const page of tree.list(id)) for (const { name } of page) console.log(textOf(name));
await location.close();

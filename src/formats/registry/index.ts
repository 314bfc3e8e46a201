/** Windows registry hives: values by path, read from the few cells that lead to them. */
export { openHive, type RegistryHive } from './hive.ts';

/** Entry point of a worker thread: answers each task with its result. Only numbers cross the port, data stays in the arena. */
import { parentPort, workerData } from 'node:worker_threads';
import { TaskRunner, type Task, type TaskSettings } from './tasks.ts';

const runner = await TaskRunner.create(workerData as TaskSettings);

type Message = { readonly id: number; readonly task: Task } | { readonly stop: true };

parentPort?.on('message', (message: Message) => {
  if ('stop' in message) {
    parentPort?.close(); // nothing else keeps the thread alive
    return;
  }
  try {
    parentPort?.postMessage({ id: message.id, result: runner.run(message.task) });
  } catch (error) {
    parentPort?.postMessage({ id: message.id, failure: String((error as Error).stack) });
  }
});
parentPort?.postMessage({ ready: true });

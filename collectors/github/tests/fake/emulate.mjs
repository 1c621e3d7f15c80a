// Starts emulate's GitHub, or the service that its argument names, with the seed that its first line of standard input is;
// ends with that input.
//
// It prints the port and, as a JSON list, the Apps' private keys that emulate made where the seed had none.

import { createInterface } from 'node:readline';
import { createEmulator } from 'emulate';

const lines = createInterface({ input: process.stdin });
let started = false;
lines.on('line', async (line) => {
  if (started) return;
  started = true;
  const emulator = await createEmulator({ service: process.argv[2] ?? 'github', port: 0, seed: JSON.parse(line) });
  process.stdout.write(`${new URL(emulator.url).port} ${JSON.stringify(emulator.generatedSecrets ?? [])}\n`);
});
lines.on('close', () => process.exit(0));

import { engineContract } from './contract.ts';
import { tinyGguf, tinySubject } from './tiny-subject.ts';
import { WllamaEngine } from './wllama-adapter.ts';

engineContract('wllama', async () => ({
  ...(await tinySubject(await tinyGguf())),
  create: () => new WllamaEngine(),
  dispose: (port) => port.unload(),
  cutTokens: 40,
}));

import { storeContract } from './contract.ts';
import { MemoryStore } from './memory-store.ts';

storeContract('MemoryStore', () => new MemoryStore());

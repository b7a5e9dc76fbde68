/** Which model the embedded upstream has; apart from what runs it, whose library is slow to load. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

export const embeddedModelId = 'tussah-tiny';
export const embeddedModelFolder = fileURLToPath(new URL('../../../../../models/tiny', import.meta.url));
export const embeddedWeights = join(embeddedModelFolder, 'tussah-tiny-f32.gguf');

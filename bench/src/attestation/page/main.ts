/** The bench's page: measures in the browser what the bench measures in Node. */
import '../page-api.ts';
import { measureAttestation } from '../subjects.ts';

window.tussahAttestation = measureAttestation;

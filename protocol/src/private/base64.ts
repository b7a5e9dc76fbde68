/** Base64 (RFC 4648 section 4, with padding) as a member of wire types. */
import * as v from 'valibot';

const alphabet = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Text that decodes to at most so many bytes. */
export const base64Of = (bytesMax: number) =>
  v.pipe(v.string(), v.maxLength(4 * Math.ceil(bytesMax / 3)), v.regex(alphabet, 'not base64'));

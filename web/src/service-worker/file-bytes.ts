/** Files of a release: read within bounds, hashed, and answered with headers of our own. */
import { hexOf } from '@tussah/protocol/bytes';
import { contentTypeOf } from '@tussah/protocol/site/content-type';
import { addressOf, type SiteFile } from '@tussah/protocol/site/release';
import { siteHeaders } from '@tussah/protocol/site/site-headers';

export type Bytes = Uint8Array<ArrayBuffer>;

/** The whole body; undefined when it is longer than `most` bytes. Rejects when the connection breaks. */
export async function readBounded(response: Response, most: number): Promise<Bytes | undefined> {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Whether these bytes are the file's. */
export async function matches(bytes: Bytes | undefined, file: SiteFile): Promise<boolean> {
  if (bytes?.length !== file.size) return false;
  return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))) === file.sha256;
}

/** Nothing of the server's own headers is passed on: a release does not vouch for them. */
export const respond = (bytes: Bytes, path: string, status: number): Response =>
  new Response(bytes, {
    status,
    headers: {
      ...siteHeaders(addressOf(path)),
      'content-type': contentTypeOf(path),
      'content-length': String(bytes.length),
    },
  });

/** Addresses in a stranger's text: which may be followed, and where they lead. */
export interface SafeLink {
  readonly href: string;
  /** The host as the browser reads it, other scripts in Punycode; for mail the address. */
  readonly host: string;
}

const characters = 2048;

/** Undefined for anything but whole http, https and mailto addresses; names and passwords inside hide the host. */
export function safeLink(address: string): SafeLink | undefined {
  if (address.length > characters || !URL.canParse(address)) return undefined;
  const url = new URL(address);
  if (url.protocol === 'mailto:') {
    // Only who it goes to: a query could fill in the subject, the text and further recipients.
    const to = /^[\w.+-]+@[\w.-]+$/.exec(url.pathname)?.[0];
    return to === undefined ? undefined : { href: `mailto:${to}`, host: to };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  if (url.hostname === '' || url.username !== '' || url.password !== '') return undefined;
  return { href: url.href, host: url.host };
}

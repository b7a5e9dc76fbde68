/** The site's pages by path. */
export type Route = 'chat' | 'contribute' | 'verify' | 'not-found';

const paths: Readonly<Record<string, Route>> = {
  '/': 'chat',
  '/contribute': 'contribute',
  '/verify': 'verify',
};

/** The page of a path; a slash at the end makes no difference. */
export function routeOf(path: string): Route {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
  return Object.hasOwn(paths, trimmed) ? (paths[trimmed] ?? 'not-found') : 'not-found';
}

export const titles: Readonly<Record<Route, string>> = {
  chat: 'Chat · Tussah',
  contribute: 'Contribute · Tussah',
  verify: 'Verify · Tussah',
  'not-found': 'Not found · Tussah',
};

interface Click {
  readonly button: number;
  readonly modified: boolean;
  readonly prevented: boolean;
  readonly target: string;
  readonly download: boolean;
}

/** Whether a click on a link of this origin should change the page in place, not load a document. */
export const staysHere = (click: Click, path: string): boolean =>
  click.button === 0 &&
  !click.modified &&
  !click.prevented &&
  !click.download &&
  (click.target === '' || click.target === '_self') &&
  routeOf(path) !== 'not-found';

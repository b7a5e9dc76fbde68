/** The page shown, kept in step with the address through the History API. */
import { routeOf, staysHere, titles, type Route } from './routes.ts';

class Router {
  route: Route = $state(routeOf(location.pathname));
  path: string = $state(location.pathname);
  /** True between a navigation and the new page's heading. */
  #arrived = false;

  /** Starts following the address and clicks on links; returns how to stop. */
  start(): () => void {
    document.title = titles[this.route];
    const onPop = () => this.#show(location.pathname);
    const onClick = (event: MouseEvent) => this.#click(event);
    addEventListener('popstate', onPop);
    document.addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', onPop);
      document.removeEventListener('click', onClick);
    };
  }

  /** For a page's heading, when it appears: a screen reader learns of the new page by the focus moving there. */
  readonly heading = (element: HTMLElement): void => {
    if (!this.#arrived) return;
    this.#arrived = false;
    element.focus({ preventScroll: true });
  };

  go(href: string): void {
    const url = new URL(href, location.href);
    if (url.href !== location.href) history.pushState(null, '', url);
    scrollTo(0, 0);
    this.#arrived = true;
    this.#show(url.pathname);
  }

  #show(path: string): void {
    this.path = path;
    this.route = routeOf(path);
    document.title = titles[this.route];
  }

  #click(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.origin !== location.origin) return;
    const click = {
      button: event.button,
      modified: event.metaKey || event.ctrlKey || event.shiftKey || event.altKey,
      prevented: event.defaultPrevented,
      target: link.target,
      download: link.hasAttribute('download'),
    };
    if (!staysHere(click, link.pathname)) return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const router = new Router();

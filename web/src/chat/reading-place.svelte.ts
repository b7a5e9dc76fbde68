/**
 * Scrolling that never fights the reader: nothing scrolls by itself but a new question, once, to the top. `below` says
 * that more text is out of sight.
 */
const slackPx = 24;

export class ReadingPlace {
  below: boolean = $state(false);
  #thread: HTMLElement | undefined;

  /** Follows the page's scrolling and size; returns how to stop. */
  watch(): () => void {
    const onChange = () => this.#measure();
    addEventListener('scroll', onChange, { passive: true });
    addEventListener('resize', onChange, { passive: true });
    return () => {
      removeEventListener('scroll', onChange);
      removeEventListener('resize', onChange);
    };
  }

  look(thread: HTMLElement | undefined): void {
    this.#thread = thread;
    this.#measure();
  }

  toLastQuestion(thread: HTMLElement | undefined): void {
    thread?.lastElementChild?.scrollIntoView({ block: 'start', behavior: motion() });
  }

  toEnd(thread: HTMLElement | undefined): void {
    endOf(thread)?.scrollIntoView({ block: 'end', behavior: motion() });
  }

  #measure(): void {
    const end = endOf(this.#thread);
    const dock = this.#thread?.nextElementSibling;
    this.below =
      end !== undefined &&
      dock != null &&
      end.getBoundingClientRect().bottom > dock.getBoundingClientRect().top + slackPx;
  }
}

/** The last answer; the turn around it is as tall as the window, so that its question can be at the top. */
const endOf = (thread: HTMLElement | undefined) =>
  [...(thread?.querySelectorAll('article') ?? [])].at(-1) ?? undefined;

const motion = (): ScrollBehavior =>
  matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';

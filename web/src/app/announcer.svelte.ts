/** What screen readers are told: starts, ends and errors, never tokens. */
class Announcer {
  polite: string = $state('');
  urgent: string = $state('');

  say(text: string): void {
    this.polite = distinct(this.polite, text);
  }

  alert(text: string): void {
    this.urgent = distinct(this.urgent, text);
  }
}

/** The same sentence twice is no change, and would not be read again: a trailing space makes it one. */
const distinct = (before: string, text: string) => (before === text ? `${text}\u00A0` : text);

export const announcer = new Announcer();

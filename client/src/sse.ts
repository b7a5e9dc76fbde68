/**
 * Server-sent events (WHATWG HTML 9.2.6), as much as a chat stream uses: `data` and `event` fields, comments, all three
 * line ends, and chunks cut anywhere, inside a character too. `id` and `retry` are read over: a chat is resumed by token ids.
 */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** An event larger than this is not one of ours; a receipt of 64 segments has about 60 kB. */
const eventCharacters = 1_048_576;

export class EventTooLarge extends Error {
  constructor() {
    super(`an event of more than ${eventCharacters} characters`);
    this.name = 'EventTooLarge';
  }
}

export class SseParser {
  // Drops a leading byte order mark, and shows malformed bytes as U+FFFD, as the standard asks.
  readonly #decoder = new TextDecoder('utf-8');
  #line = '';
  #data: string[] = [];
  #size = 0;
  #event = '';
  #endedByReturn = false;

  /** The events completed by these bytes. Throws `EventTooLarge`. */
  push(bytes: Uint8Array): ServerEvent[] {
    return this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  #read(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    let start = 0;
    // A line feed right after a carriage return belongs to it, across chunks too.
    if (this.#endedByReturn && text !== '') {
      if (text.startsWith('\n')) start = 1;
      this.#endedByReturn = false;
    }
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = start;
    for (let match = ends.exec(text); match !== null; match = ends.exec(text)) {
      const event = this.#end(this.#line + text.slice(start, match.index));
      this.#line = '';
      if (event !== undefined) events.push(event);
      start = ends.lastIndex;
      if (match[0] === '\r' && start === text.length) this.#endedByReturn = true;
    }
    this.#line += text.slice(start);
    if (this.#line.length + this.#size > eventCharacters) throw new EventTooLarge();
    return events;
  }

  /** Takes one whole line; an empty one ends the event. */
  #end(line: string): ServerEvent | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line.startsWith(' ', colon + 1) ? colon + 2 : colon + 1);
    if (field === 'event') this.#event = value;
    if (field === 'data') {
      this.#data.push(value);
      // An empty line takes memory, too.
      this.#size += value.length + 1;
      if (this.#size > eventCharacters) throw new EventTooLarge();
    }
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const event = this.#event === '' ? 'message' : this.#event;
    const data = this.#data;
    this.#event = '';
    this.#data = [];
    this.#size = 0;
    return data.length === 0 ? undefined : { event, data: data.join('\n') };
  }
}

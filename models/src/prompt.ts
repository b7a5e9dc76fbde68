/**
 * Renders chat messages into the one prompt that every engine gets: the text, and the ids of that text.
 * The template is the model's own Jinja template. What people wrote is sanitised before it goes in, the date is fixed, so a
 * prompt depends on its messages alone and can be rendered again by whoever continues or audits the answer.
 */
import { Template } from '@huggingface/jinja';
import { type ErrorCode, type Result, fail, failure, ok } from '@tussah/protocol/errors';
import type { ChatTokenizer } from './tokenizer.ts';

export type PromptFailureCode = ErrorCode | 'template_malformed';

const ROLES = ['system', 'user', 'assistant', 'tool'] as const;

export interface PromptMessage {
  readonly role: (typeof ROLES)[number];
  readonly content: string;
}

export interface Prompt {
  readonly text: string;
  /** The encoding of `text`, control tokens included. */
  readonly ids: readonly number[];
}

export interface PromptRenderer {
  /** `room` bounds the ids: the model's context less the tokens that are to be generated. */
  render(messages: readonly PromptMessage[], room?: number): Result<Prompt, PromptFailureCode>;
}

/** Characters a token, at first: common text has about four. */
const CHARACTERS_LOOKED_AT = 8;
/** Llama's own templates fall back to this day when none is given. */
const FIXED_DATE = '26 Jul 2024';
/** Takes the place of the template engine's clock; the end of its line is trimmed like that of every block. */
const FIXED_CLOCK = `{% macro strftime_now(format) %}${FIXED_DATE}{% endmacro %}\n`;

/** Parses the template once. `template` defaults to the one in the tokenizer's configuration. */
export function promptRenderer(
  tokenizer: ChatTokenizer,
  template: string | undefined = tokenizer.chatTemplate,
): Result<PromptRenderer, PromptFailureCode> {
  if (template === undefined) return malformed('The model has no chat template.');
  let parsed: Template;
  try {
    parsed = new Template(FIXED_CLOCK + template);
  } catch (error) {
    return malformed(`The chat template cannot be parsed: ${reason(error)}`);
  }
  return ok({ render: (messages, room) => render(tokenizer, parsed, messages, room) });
}

function render(
  tokenizer: ChatTokenizer,
  template: Template,
  messages: readonly PromptMessage[],
  room: number | undefined,
): Result<Prompt, PromptFailureCode> {
  if (messages.length === 0) return fail(failure('invalid_request', 'There are no messages.', 'messages'));
  // A role goes into the prompt as it is, so it must be one of ours.
  const stranger = messages.find(({ role }) => !ROLES.includes(role));
  if (stranger) return fail(failure('invalid_request', 'A message has an unknown role.', 'messages'));
  let text: string;
  try {
    text = template.render({
      messages: messages.map(({ role, content }) => ({ role, content: tokenizer.sanitiseContent(content) })),
      add_generation_prompt: true,
      bos_token: tokenizer.bosToken ?? '',
      eos_token: tokenizer.eosToken ?? '',
      date_string: FIXED_DATE,
    });
  } catch (error) {
    return fail({
      code: 'invalid_request',
      message: `The model's chat template refused these messages: ${reason(error)}`,
      remedy:
        'Begin with an optional system message, then let user and assistant take turns, or choose another model.',
      param: 'messages',
    });
  }
  // A prompt far beyond the context is refused by its beginning: reading all of it could take a second.
  const head = room === undefined ? text : text.slice(0, room * CHARACTERS_LOOKED_AT);
  const ids = tokenizer.encode(head);
  if (room !== undefined && ids.length > room)
    return tooLong(head === text ? `${ids.length}` : `over ${ids.length}`, room);
  if (head === text) return ok({ text, ids });
  const all = tokenizer.encode(text);
  return room !== undefined && all.length > room ? tooLong(`${all.length}`, room) : ok({ text, ids: all });
}

const tooLong = (tokens: string, room: number) =>
  fail<PromptFailureCode>(
    failure(
      'context_length_exceeded',
      `The prompt has ${tokens} tokens, but only ${Math.max(0, room)} fit beside the answer.`,
      'messages',
    ),
  );
const reason = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, 200);
const malformed = (message: string) =>
  fail<PromptFailureCode>({
    code: 'template_malformed',
    message,
    remedy: 'Use the chat_template of the model’s own tokenizer_config.json.',
  });

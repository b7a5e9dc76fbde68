/** What the proxy answers, once a request has passed the guard. */
import { errorKinds, failure } from '@tussah/protocol/errors';
import { ModelListSchema } from '@tussah/protocol/network';
import type { Padding } from '@tussah/protocol/private/header';
import type { CoordinatorApi } from '../private/coordinator-api.ts';
import { answerPrivately } from '../private/openai-fetch.ts';
import { refusalResponse } from '../private/openai-shapes.ts';
import type { PrivateClient } from '../private/private-client.ts';

export interface ProxyContext {
  readonly client: PrivateClient;
  /** For the catalogue. */
  readonly api: CoordinatorApi;
  /** Ids that the policy names: only these can be asked. */
  readonly models: ReadonlySet<string>;
  readonly padding: Padding;
}

export interface ProxyRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  /** Undefined when it was too large. */
  readonly body: () => Promise<string | undefined>;
  readonly signal: AbortSignal;
}

const CATALOGUE_BYTES = 4_194_304;
const methods: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'POST',
  '/v1/models': 'GET',
};

export async function answer(context: ProxyContext, request: ProxyRequest): Promise<Response> {
  const { method, path } = request;
  const allowed = Object.hasOwn(methods, path) ? methods[path] : undefined;
  if (allowed === undefined)
    return refusalResponse({
      ...failure('not_found', 'The proxy has no such address.'),
      remedy: 'It has GET /v1/models and POST /v1/chat/completions.',
    });
  if (method !== allowed)
    return refusalResponse({ ...failure('method_not_allowed'), remedy: `Use ${allowed}.` });
  return path === '/v1/models' ? listModels(context, request) : complete(context, request);
}

async function complete({ client, padding }: ProxyContext, request: ProxyRequest): Promise<Response> {
  if (!/^application\/json\s*(;|$)/i.test(request.contentType))
    return refusalResponse(failure('unsupported_media_type'));
  const text = await request.body();
  if (text === undefined)
    return refusalResponse(failure('body_too_large', errorKinds.body_too_large.message));
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return refusalResponse(failure('invalid_json'));
  }
  return answerPrivately(client, body, { padding, signal: request.signal });
}

async function listModels({ api, models }: ProxyContext, { signal }: ProxyRequest): Promise<Response> {
  const list = await api.get('/models', ModelListSchema, CATALOGUE_BYTES, signal);
  if (!list.ok) return refusalResponse(list.failure);
  const data = list.value.data.filter(({ id }) => models.has(id));
  return Response.json({ object: 'list', data });
}

/** `/openapi.json`: OpenAPI 3.1 made from the very schemas that read requests and describe answers. */
import type { FastifyInstance } from 'fastify';
import { toJsonSchema } from '@valibot/to-json-schema';
import { CancelRequestSchema, ChatRequestSchema } from '@tussah/protocol/chat-request';
import { ChatCompletionChunkSchema, ChatCompletionSchema } from '@tussah/protocol/chat-response';
import { ErrorBodySchema, errorKinds } from '@tussah/protocol/errors';
import { ModelListSchema, ModelObjectSchema, NetworkSchema } from '@tussah/protocol/network';
import { ReceiptSchema } from '@tussah/protocol/receipts';
import type { GenericSchema } from 'valibot';

const components: Record<string, GenericSchema> = {
  ChatRequest: ChatRequestSchema,
  CancelRequest: CancelRequestSchema,
  ChatCompletion: ChatCompletionSchema,
  ChatCompletionChunk: ChatCompletionChunkSchema,
  Error: ErrorBodySchema,
  ModelList: ModelListSchema,
  Model: ModelObjectSchema,
  Network: NetworkSchema,
  Receipt: ReceiptSchema,
};

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string, description: string) => ({
  description,
  content: { 'application/json': { schema: ref(name) } },
});
const get = (name: string, summary: string, parameter?: string, place: 'path' | 'query' = 'path') => ({
  get: {
    summary,
    ...(parameter === undefined
      ? {}
      : { parameters: [{ name: parameter, in: place, required: true, schema: { type: 'string' } }] }),
    responses: { 200: json(name, summary), default: json('Error', 'An error with its code and remedy.') },
  },
});

function describe(version: string) {
  // Checks that JSON Schema can't say (a sum that exists, text without lone surrogates) are made all the same.
  const schemas = Object.fromEntries(
    Object.entries(components).map(([name, schema]) => {
      const { $schema: _, ...rest } = toJsonSchema(schema, { errorMode: 'ignore', typeMode: 'input' });
      return [name, rest];
    }),
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tussah',
      version,
      summary: 'An OpenAI-compatible API in front of an open compute network.',
      description: 'Error codes: ' + Object.keys(errorKinds).join(', ') + '.',
    },
    paths: {
      '/v1/chat/completions': {
        post: {
          summary: 'Answer a chat; streamed as server-sent events with stream: true.',
          security: [{ key: [] }, {}],
          parameters: [
            {
              name: 'Idempotency-Key',
              in: 'header',
              required: false,
              schema: { type: 'string', maxLength: 255 },
            },
          ],
          requestBody: { required: true, content: { 'application/json': { schema: ref('ChatRequest') } } },
          responses: {
            200: {
              description: 'The answer and its receipt.',
              content: {
                'application/json': { schema: ref('ChatCompletion') },
                'text/event-stream': { schema: ref('ChatCompletionChunk') },
              },
            },
            default: json('Error', 'An error with its code and remedy.'),
          },
        },
      },
      '/v1/chat/completions/cancel': {
        post: {
          summary:
            'End an answer whose client might come back: a resumable one, or one with an Idempotency-Key.',
          security: [{ key: [] }, {}],
          requestBody: { required: true, content: { 'application/json': { schema: ref('CancelRequest') } } },
          responses: {
            202: { description: 'It ends, or has ended.' },
            default: json('Error', 'An error with its code and remedy.'),
          },
        },
      },
      '/v1/models': get('ModelList', 'The catalogue, with who serves each model now.'),
      '/v1/models/{id}': get('Model', 'One model.', 'id'),
      '/v1/network': get('Network', 'The state of the network now.'),
      '/v1/receipts': get('Receipt', 'The receipt of a job, for whoever knows its id.', 'job', 'query'),
      '/v1/receipts/{id}': get('Receipt', 'A receipt, for whoever knows its id.', 'id'),
    },
    components: {
      schemas,
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'Without a key the caller is a guest.' },
      },
    },
  };
}

export function openApiRoute(app: FastifyInstance, version: string): void {
  const description = describe(version);
  app.get('/openapi.json', () => description);
}

/** `/openapi.json`: OpenAPI 3.1 made from the very schemas that read requests and describe answers. */
import type { FastifyInstance } from 'fastify';
import { toJsonSchema } from '@valibot/to-json-schema';
import { CancelRequestSchema, ChatRequestSchema } from '@tussah/protocol/chat-request';
import { ChatCompletionChunkSchema, ChatCompletionSchema } from '@tussah/protocol/chat-response';
import { ErrorBodySchema, errorKinds } from '@tussah/protocol/errors';
import { ModelListSchema, ModelObjectSchema, NetworkSchema } from '@tussah/protocol/network';
import { ConsistencySchema, DirectoryPageSchema, NodeListSchema } from '@tussah/protocol/private/directory';
import { SealedRequestSchema } from '@tussah/protocol/private/header';
import { PrivateReceiptSchema } from '@tussah/protocol/private/private-receipt';
import { SealedEventSchema } from '@tussah/protocol/private/sealed-events';
import { ReceiptSchema } from '@tussah/protocol/receipts';
import { unknown, union, type GenericSchema } from 'valibot';

const components: Record<string, GenericSchema> = {
  ChatRequest: ChatRequestSchema,
  CancelRequest: CancelRequestSchema,
  ChatCompletion: ChatCompletionSchema,
  ChatCompletionChunk: ChatCompletionChunkSchema,
  Error: ErrorBodySchema,
  ModelList: ModelListSchema,
  Model: ModelObjectSchema,
  Network: NetworkSchema,
  Receipt: union([ReceiptSchema, PrivateReceiptSchema]),
  SealedRequest: SealedRequestSchema,
  SealedEvent: SealedEventSchema,
  NodeList: NodeListSchema,
  DirectoryPage: DirectoryPageSchema,
  Consistency: ConsistencySchema,
  Evidence: unknown(),
};

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string, description: string) => ({
  description,
  content: { 'application/json': { schema: ref(name) } },
});
const parameter = (name: string, place: 'path' | 'query', required = true) => ({
  name,
  in: place,
  required,
  schema: { type: 'string' },
});
const get = (name: string, summary: string, ...parameters: ReturnType<typeof parameter>[]) => ({
  get: {
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
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
      '/v1/sealed/chat/completions': {
        post: {
          summary: 'Answer a request sealed to confidential nodes, as server-sent events.',
          security: [{ key: [] }, {}],
          requestBody: { required: true, content: { 'application/json': { schema: ref('SealedRequest') } } },
          responses: {
            200: {
              description: 'The sealed answer and its receipt.',
              content: { 'text/event-stream': { schema: ref('SealedEvent') } },
            },
            default: json('Error', 'An error with its code and remedy.'),
          },
        },
      },
      '/v1/nodes': get(
        'NodeList',
        'Confidential nodes, each with its proof.',
        parameter('model', 'query', false),
        parameter('since', 'query', false),
      ),
      '/v1/nodes/bundles/{name}': get(
        'Evidence',
        'The evidence of a listed node.',
        parameter('name', 'path'),
      ),
      '/v1/nodes/entries': get(
        'DirectoryPage',
        'Entries of the directory, at most 256.',
        parameter('from', 'query'),
        parameter('to', 'query'),
      ),
      '/v1/nodes/consistency': get(
        'Consistency',
        'The proof that the directory goes on from an earlier size.',
        parameter('from', 'query'),
        parameter('to', 'query'),
      ),
      '/v1/nodes/policy': get('Evidence', 'The policy by which this coordinator lets nodes in.'),
      '/v1/models': get('ModelList', 'The catalogue, with who serves each model now.'),
      '/v1/models/{id}': get('Model', 'One model.', parameter('id', 'path')),
      '/v1/network': get('Network', 'The state of the network now.'),
      '/v1/receipts': get(
        'Receipt',
        'The receipt of a job, for whoever knows its id.',
        parameter('job', 'query'),
      ),
      '/v1/receipts/{id}': get('Receipt', 'A receipt, for whoever knows its id.', parameter('id', 'path')),
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

/** Models, the network's state, receipts, health and metrics: everything that is only read. */
import type { FastifyInstance } from 'fastify';
import { catalogue, modelById, type Model } from '@tussah/models/catalogue';
import { failure } from '@tussah/protocol/errors';
import { JobIdSchema, ReceiptIdSchema } from '@tussah/protocol/ids';
import type { ModelObject, Network } from '@tussah/protocol/network';
import * as v from 'valibot';
import { networkOf } from '../../core/views.ts';
import { refuse, type HttpContext } from './context.ts';

/** When this catalogue was made, in seconds since 1970. */
const CATALOGUE_CREATED = Date.UTC(2026, 10, 22) / 1000;
/** The network's state is counted at most this often. */
const VIEW_MS = 250;

export function networkRoutes(app: FastifyInstance, context: HttpContext): void {
  let view: Network | undefined;
  const look = (): Network => {
    const atMs = context.now();
    if (view === undefined || atMs - view.atMs > VIEW_MS) view = networkOf(context.dispatcher.state, atMs);
    return view;
  };

  app.get('/v1/models', () => ({
    object: 'list',
    data: catalogue.map((model) => modelObject(model, look())),
  }));

  app.get<{ Params: { id: string } }>('/v1/models/:id', (request, reply) => {
    const model = modelById(request.params.id);
    if (model === undefined) return refuse(reply, failure('model_not_found', undefined, 'model'));
    return reply.send(modelObject(model, look()));
  });

  app.get('/v1/network', () => look());

  app.get<{ Params: { id: string } }>('/v1/receipts/:id', async (request, reply) => {
    const id = v.safeParse(ReceiptIdSchema, request.params.id);
    const receipt = id.success ? await context.store.receipt(id.output) : undefined;
    return receipt === undefined ? refuse(reply, failure('receipt_not_found')) : reply.send(receipt);
  });

  app.get<{ Querystring: { job?: unknown } }>('/v1/receipts', async (request, reply) => {
    const jobId = v.safeParse(JobIdSchema, request.query.job);
    const receipt = jobId.success ? await context.store.receiptOfJob(jobId.output) : undefined;
    return receipt === undefined ? refuse(reply, failure('receipt_not_found')) : reply.send(receipt);
  });

  app.get('/healthz', () => ({ status: 'ok', version: context.version }));

  app.get('/readyz', (_, reply) =>
    context.dispatcher.state.draining
      ? refuse(reply, failure('shutting_down'))
      : reply.send({ status: 'ready' }),
  );

  app.get('/metrics', async (_, reply) =>
    reply.type(context.metrics.registry.contentType).send(await context.metrics.registry.metrics()),
  );
}

function modelObject(model: Model, network: Network): ModelObject {
  const live = network.models.find((candidate) => candidate.id === model.id);
  return {
    id: model.id,
    object: 'model',
    created: CATALOGUE_CREATED,
    owned_by: model.family,
    tussah: {
      name: model.name,
      family: model.family,
      parameters: model.parameters,
      contextTokens: model.contextTokens,
      capabilities: [...model.capabilities],
      licence: model.licence,
      price: model.price,
      engines: [...new Set(model.builds.map((build) => build.engine))],
      contributors: live?.contributors ?? 0,
      idle: live?.idle ?? 0,
    },
  };
}

/** The directory of confidential nodes, for clients that verify it (docs/private-tier.md, The directory). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { failure } from '@tussah/protocol/errors';
import { BundleNameSchema } from '@tussah/protocol/private/header';
import type { DirectoryPage, NodeList, ProvenEntry } from '@tussah/protocol/private/directory';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import * as v from 'valibot';
import { currentEpochs } from '../../core/private/views.ts';
import { refuse, type HttpContext } from './context.ts';

type Query = FastifyRequest<{ Querystring: Record<string, unknown> }>;

export function nodeRoutes(app: FastifyInstance, context: HttpContext): void {
  const { directory, policy } = context.private;
  const listOf = nodeLists(context);

  app.get('/v1/nodes', (request: Query, reply) => {
    if (policy === undefined) return refuse(reply, failure('tier_unavailable'));
    const { model, since = '0' } = request.query;
    const from = sizeOf(since);
    if (from === undefined || (model !== undefined && typeof model !== 'string'))
      return refuse(reply, badQuery('since'));
    const head = directory.head();
    // A client that knows more than there is sees the head that shows it.
    const consistency = from > head.size ? [] : directory.consistency(from, head.size);
    const rest: Omit<NodeList, 'nodes'> = { head, consistency };
    const text = `${JSON.stringify(rest).slice(0, -1)},"nodes":${listOf(model, head.size)}}`;
    return reply.type('application/json; charset=utf-8').send(text);
  });

  app.get<{ Params: { name: string } }>('/v1/nodes/bundles/:name', (request, reply) => {
    const name = v.safeParse(BundleNameSchema, request.params.name);
    const text = name.success ? directory.bundle(name.output) : undefined;
    if (text === undefined) return refuse(reply, failure('bundle_not_found'));
    // Its name is the hash of these very bytes.
    return reply.type('application/json; charset=utf-8').send(text);
  });

  app.get('/v1/nodes/entries', async (request: Query, reply) => {
    const range = rangeOf(request, directory.size);
    if (range === undefined || range.to - range.from > privateLimits.entriesPerPage)
      return refuse(reply, badQuery('from'));
    const page: DirectoryPage = {
      from: range.from,
      entries: await directory.entries(range.from, range.to),
    };
    return reply.send(page);
  });

  app.get('/v1/nodes/consistency', (request: Query, reply: FastifyReply) => {
    const range = rangeOf(request, directory.size);
    if (range === undefined) return refuse(reply, badQuery('from'));
    return reply.send({ ...range, proof: directory.consistency(range.from, range.to) });
  });

  // For people to read; clients have policies of their own.
  app.get('/v1/nodes/policy', (_, reply) =>
    policy === undefined ? refuse(reply, failure('tier_unavailable')) : reply.send(policy),
  );
}

/** Lists with proofs as JSON, made once for each size of the directory: anybody may ask, and they are long. */
function nodeLists(context: HttpContext): (model: string | undefined, size: number) => string {
  const { directory } = context.private;
  const known = new Map<string, string>();
  let knownSize = -1;
  return (model, size) => {
    if (size !== knownSize) known.clear();
    knownSize = size;
    const list = known.get(model ?? '');
    if (list !== undefined) return list;
    const nodes: ProvenEntry[] = currentEpochs(context.dispatcher.state.private, model)
      .slice(0, privateLimits.concurrencyMax)
      .map((epoch) => directory.prove({ index: epoch.index, entry: epoch.entry }, size));
    const text = JSON.stringify(nodes);
    // Names of models that nobody serves are no reason to remember anything.
    if (nodes.length > 0) known.set(model ?? '', text);
    return text;
  };
}

const badQuery = (param: string) =>
  failure('invalid_request', 'Sizes are whole numbers in order, at most that of the newest head.', param);

/** Two sizes in order, of which the directory has at least the second. */
function rangeOf({ query }: Query, size: number): { from: number; to: number } | undefined {
  const [from, to] = [sizeOf(query['from']), sizeOf(query['to'])];
  return from === undefined || to === undefined || from > to || to > size ? undefined : { from, to };
}

const sizeOf = (text: unknown): number | undefined =>
  typeof text === 'string' && /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;

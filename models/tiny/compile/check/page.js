// Runs in the browser: the unmodified web-llm package, and one function for each thing check.mjs asks for.
import { MLCEngine } from './web-llm.js';

const PLAIN = 'tussah-tiny';
const WATCHED = 'tussah-tiny-watched'; // the same model, with a processor that copies every token's logits
const model = new URL('/tiny/resolve/main/', location).href;
const appConfig = {
  model_list: [PLAIN, WATCHED].map((model_id) => ({
    model_id,
    model,
    model_lib: `${model}tussah-tiny-q0f32-webgpu.wasm`,
  })),
};

const seen = { logits: [], ids: [] };
const watcher = {
  processLogits(logits) {
    seen.logits.push(Float32Array.from(logits));
    return logits;
  },
  processSampledToken(id) {
    seen.ids.push(id);
  },
  resetState() {},
};
const engine = new MLCEngine({ appConfig, logitProcessorRegistry: new Map([[WATCHED, watcher]]) });

function takeSeen() {
  const taken = { logits: seen.logits.map((row) => Array.from(row)), ids: seen.ids };
  seen.logits = [];
  seen.ids = [];
  return taken;
}

window.check = {
  async adapter() {
    const adapter = await navigator.gpu?.requestAdapter();
    return (
      adapter && {
        name: adapter.info.architecture || adapter.info.vendor,
        f16: adapter.features.has('shader-f16'),
      }
    );
  },

  async load(watched) {
    const start = performance.now();
    await engine.reload(watched ? WATCHED : PLAIN);
    return (performance.now() - start) / 1000;
  },

  chat: (request) => engine.chat.completions.create(request),

  complete: (request) => engine.completions.create(request),

  // -> the same, with what the processor saw
  async watch(kind, request) {
    takeSeen();
    const reply = await this[kind](request);
    return { reply, ...takeSeen() };
  },

  // Feeds the ids in prefill chunks and then `count` greedy tokens one by one. -> the logits and ids of each step
  async greedy(ids, count) {
    await engine.resetChat();
    takeSeen();
    let next = await engine.forwardTokensAndSample(ids, true);
    for (let i = 1; i < count; i++) next = await engine.forwardTokensAndSample([next], false);
    return takeSeen();
  },

  async interruptAfter(chunks, request) {
    let text = '';
    let finish = null;
    let count = 0;
    for await (const chunk of await engine.chat.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      if (++count === chunks) engine.interruptGenerate();
    }
    return { text, finish, count };
  },
};

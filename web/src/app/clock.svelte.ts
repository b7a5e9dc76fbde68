/** The time by which ages are shown, renewed every few seconds while somebody looks. */
import { createSubscriber } from 'svelte/reactivity';

const everyMs = 5000;

const subscribe = createSubscriber((update) => {
  const timer = setInterval(() => {
    if (!document.hidden) update();
  }, everyMs);
  return () => clearInterval(timer);
});

/** Milliseconds since 1970; what reads it in a component or effect is renewed. */
export function now(): number {
  subscribe();
  return Date.now();
}

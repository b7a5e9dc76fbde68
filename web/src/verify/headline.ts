/** The one verdict that a finding is shown with; everything else on the page hangs on it. */
import type { Finding } from './findings.ts';

export interface Headline {
  readonly tone: 'good' | 'bad' | 'simulated' | 'neutral';
  readonly verdict: string;
  readonly sentence: string;
  readonly simulated: boolean;
}

export function headlineOf(finding: Finding): Headline {
  switch (finding.kind) {
    case 'unreadable': {
      const { message, remedy } = finding.failure;
      return { tone: 'bad', verdict: 'Can’t be judged', sentence: `${message} ${remedy}`, simulated: false };
    }
    case 'policy':
      return {
        tone: 'neutral',
        verdict: `Policy “${finding.name}”`,
        sentence: finding.simulated
          ? 'It accepts simulated machines, which protect nothing. For development only.'
          : 'Bundles here are judged by it.',
        simulated: finding.simulated,
      };
    case 'receipt':
      return ofReceipt(finding);
    default:
      finding satisfies { kind: 'bundle' };
      return ofBundle(finding);
  }
}

function ofReceipt({
  tier,
  answer,
  valid,
  simulated,
  checks,
}: Extract<Finding, { kind: 'receipt' }>): Headline {
  const failed = checks.filter(({ ok }) => !ok).length;
  const what = `${tier === 'private' ? 'Private receipt' : 'Receipt'}${answer ? ' with its answer' : ''}`;
  return {
    tone: !valid ? 'bad' : simulated ? 'simulated' : 'good',
    verdict: valid ? `${what}: holds` : `${what}: does not hold`,
    sentence: valid
      ? `${checks.length} of ${checks.length} checks passed.${simulated ? ' Its machine protects nothing.' : ''}`
      : `${failed} of ${checks.length} checks failed. Do not rely on it.`,
    simulated,
  };
}

function ofBundle({ verdict, policy, atMs }: Extract<Finding, { kind: 'bundle' }>): Headline {
  const accepted = verdict.verdict === 'accepted';
  const simulated = verdict.claims['simulated'] === true;
  const of = (status: string) => verdict.steps.filter((step) => step.status === status).length;
  const when = `by the policy “${policy}”, for ${new Date(atMs).toLocaleString()}`;
  return {
    tone: !accepted ? 'bad' : simulated ? 'simulated' : 'good',
    verdict: accepted ? 'Bundle: accepted' : 'Bundle: rejected',
    sentence: accepted
      ? `${of('passed')} steps passed, ${of('unchecked')} were not asked for; judged ${when}.${
          simulated ? ' It is signed by a test root and protects nothing.' : ''
        }`
      : `${of('failed')} steps failed, ${of('passed')} passed, ${of('unchecked')} were not checked; judged ${when}.`,
    simulated,
  };
}

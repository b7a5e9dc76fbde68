/** What holds if a check of a receipt passed, by the check's name. */

const claims: Readonly<Record<string, string>> = {
  shape: 'It has every field of a receipt, and no other.',
  'this answer': 'It is for the answer above: same job, same number of tokens.',
  coordinator: 'It is signed by the key that this coordinator names as its own.',
  'coordinator signature': 'The coordinator signed it, and nothing was changed since.',
  positions: 'The parts follow each other without a gap, and none is charged for more than it delivered.',
  usage: 'The tokens of all parts add up to the total.',
  prices: 'Each charge is its tokens times its price, and the charges add up to the total.',
  'fee and pay': 'Pay and network fee add up to what was charged.',
  'answer job': 'The answer around it is of the same job.',
  'answer model': 'The answer around it is of the same model.',
  'answer usage': 'The answer around it has the same number of tokens.',

  // Of private receipts.
  'node signature': 'The confidential machine signed what it has done, and nothing was changed since.',
  charge: 'The charge is the machine’s count times its price, and not more than what was held.',
  'receipt key': 'The key that signed for the machine is the one in its verified evidence.',
  evidence: 'The machine’s evidence was accepted.',
  jobId: 'It is for the job that this browser sent.',
  headerHash: 'It is for the very request that this browser sealed.',
  bundle: 'It is by the machine that this browser verified.',
  identity: 'Who is paid is the one who signed the offer.',
  model: 'It is for the model that was asked.',
  promptTokens: 'The tokens read are those that the machine itself told inside the sealed answer.',
  completionTokens: 'The tokens written are those that the machine itself told inside the sealed answer.',
  chunks: 'It counts as many pieces of the answer as came here.',
  transcript: 'It names the very bytes that came here.',
  price: 'The price is that of the machine’s signed offer.',
  'price bound': 'The charge is not more than this browser allowed.',
  'prompt bound': 'No more was read than this browser announced.',
  'answer bound': 'No more was written than this browser allowed.',
};

const ofSegment = /^segment \d+ signature$/;

export function claimOfCheck(name: string): string {
  if (ofSegment.test(name))
    return 'The contributor of this part signed for its tokens, or it broke off before.';
  return Object.hasOwn(claims, name) ? (claims[name] ?? '') : 'A check that this page does not know.';
}

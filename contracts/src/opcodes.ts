/** Opcodes of every message and signed body. A test keeps them equal to `tolk/messages.tolk` and the TL-B schemas. */
export const opcodes = {
  TopUp: 0x54430001,
  ClaimVoucher: 0x54430002,
  StartClose: 0x54430003,
  FinishClose: 0x54430004,
  CloseTogether: 0x54430005,
  ChannelPayment: 0x54560001,
  ProposeRoot: 0x54560002,
  CancelRoot: 0x54560003,
  ChallengeRoot: 0x54560004,
  FinalizeRoot: 0x54560005,
  PayEarnings: 0x54560006,
  ClaimEarnings: 0x54560007,
  SetKeys: 0x54560008,
  EarningsPaid: 0x54560020,
  ChannelRefund: 0x54430020,
  Excesses: 0xd53276db,
  ChannelVoucher: 0x544300a0,
  CloseConsent: 0x544300a1,
  EarningsVoucher: 0x545600a0,
} as const;

export type MessageName = keyof typeof opcodes;

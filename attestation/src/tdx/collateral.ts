/**
 * What Intel signs about platforms, as the Provisioning Certification Service API (version 4) hands it out: CRLs, TCB info
 * (version 3) and the TD quoting enclave's identity (version 2).
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { parseAs } from '../schema.ts';

const text = v.pipe(v.string(), v.maxLength(limits.collateralJsonCharacters));

/** All collateral of one quote, member by member as DCAP's quote verification library takes it. */
export const TdxCollateralSchema = v.object({
  /** PEM, hexadecimal or base64. */
  root_ca_crl: text,
  pck_crl: text,
  /** PEM: the signer of the TCB info, then the root. */
  tcb_info_issuer_chain: text,
  /** The very text that is signed. */
  tcb_info: text,
  tcb_info_signature: text,
  qe_identity_issuer_chain: text,
  qe_identity: text,
  qe_identity_signature: text,
});
export type TdxCollateral = v.InferOutput<typeof TdxCollateralSchema>;

const hex = (bytes: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`)), v.toLowerCase());
const svn = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(65_535));
const writtenBack = (ms: number) => (Number.isNaN(ms) ? '' : `${new Date(ms).toISOString().slice(0, 19)}Z`);
const moment = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  // Engines differ about the 30th of February.
  v.check((written) => writtenBack(Date.parse(written)) === written),
  v.transform((written) => Date.parse(written)),
);
/** A status that is not in this list is unknown, hence the whole document. */
const StatusSchema = v.picklist([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
]);
export type TcbStatus = v.InferOutput<typeof StatusSchema>;

const outcome = {
  tcbDate: moment,
  advisoryIDs: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(512)), []),
};
const levels = <Tcb extends v.GenericSchema, Status extends v.GenericSchema>(tcb: Tcb, tcbStatus: Status) =>
  v.pipe(v.array(v.object({ tcb, tcbStatus, ...outcome })), v.minLength(1), v.maxLength(limits.tcbLevels));
/** Of an enclave or a module by its own security version number. */
const isvLevels = levels(v.object({ isvsvn: svn }), v.picklist(['UpToDate', 'OutOfDate', 'Revoked']));
export type IsvLevel = v.InferOutput<typeof isvLevels>[number];

const component = v.object({ svn: v.pipe(svn, v.maxValue(255)) });
const components = v.pipe(v.array(component), v.length(16));
const dated = {
  issueDate: moment,
  nextUpdate: moment,
  tcbEvaluationDataNumber: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
};

export const TcbInfoSchema = v.object({
  id: v.literal('TDX'),
  version: v.literal(3),
  ...dated,
  fmspc: hex(6),
  pceId: hex(2),
  tcbType: v.literal(0),
  tdxModule: v.object({ mrsigner: hex(48), attributes: hex(8), attributesMask: hex(8) }),
  tdxModuleIdentities: v.optional(
    v.pipe(
      v.array(
        v.object({
          id: v.pipe(v.string(), v.maxLength(16)),
          mrsigner: hex(48),
          attributes: hex(8),
          attributesMask: hex(8),
          tcbLevels: isvLevels,
        }),
      ),
      v.maxLength(256),
    ),
    [],
  ),
  tcbLevels: levels(
    v.object({ sgxtcbcomponents: components, pcesvn: svn, tdxtcbcomponents: components }),
    StatusSchema,
  ),
});
export type TcbInfo = v.InferOutput<typeof TcbInfoSchema>;
export type TcbLevel = TcbInfo['tcbLevels'][number];

export const QeIdentitySchema = v.object({
  id: v.literal('TD_QE'),
  version: v.literal(2),
  ...dated,
  miscselect: hex(4),
  miscselectMask: hex(4),
  attributes: hex(16),
  attributesMask: hex(16),
  mrsigner: hex(32),
  isvprodid: svn,
  tcbLevels: isvLevels,
});
export type QeIdentity = v.InferOutput<typeof QeIdentitySchema>;

/** Reads signed JSON. Throws `Malformed`. */
export function parseSigned<Schema extends v.GenericSchema>(
  schema: Schema,
  json: string,
  what: string,
): v.InferOutput<Schema> {
  demand(json.length <= limits.collateralJsonCharacters, `${what}: too long`);
  return parseAs(schema, parseJson(json, what), what);
}

/** The eight members, from parsed JSON. Throws `Malformed`. */
export const readCollateral = (input: unknown): TdxCollateral =>
  parseAs(TdxCollateralSchema, input, 'collateral');

/** Members beyond those eight: DCAP's tools add the chain of the PCK CRL's issuer, which is in the quote as well. */
export const unusedMembers = (input: unknown): string[] =>
  Object.keys(Object(input) as object)
    .filter((name) => !Object.hasOwn(TdxCollateralSchema.entries, name))
    .map((name) => `member ${name} of the collateral`);

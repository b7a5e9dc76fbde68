/**
 * Finds the checks in a source file and puts a switch around each: `demand(CONDITION, ...)`, `record.check(id, CONDITION, ...)`,
 * the operands of `&&` and `||` within them and in what functions return. One build holds all mutants; one is on at a time.
 */
import ts from 'typescript';

export interface Mutant {
  readonly id: number;
  readonly file: string;
  readonly line: number;
  /** What the condition becomes. */
  readonly change: 'true' | 'false' | 'inverted';
  readonly text: string;
}

/** In instrumented code: `tussahMutant(n, condition)`; n and the numbers behind it are the mutants of that condition. */
export const SWITCH = 'globalThis.tussahMutant';

interface Site {
  readonly node: ts.Expression;
  readonly changes: readonly Mutant['change'][];
}

/** Returns the source with switches in it, and appends its mutants to `mutants`. */
export function instrument(source: string, file: string, mutants: Mutant[]): string {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.ES2024, true, ts.ScriptKind.TS);
  const sites = new Map<ts.Expression, readonly Mutant['change'][]>();
  const visit = (node: ts.Node): void => {
    for (const { node: expression, changes } of sitesOf(node))
      if (!sites.has(expression)) sites.set(expression, changes);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  const inserts = [...sites].flatMap(([node, changes]) => {
    const first = mutants.length;
    const { line } = tree.getLineAndCharacterOfPosition(node.getStart());
    const text = node.getText().replace(/\s+/g, ' ').slice(0, 100);
    for (const change of changes) mutants.push({ id: mutants.length, file, line: line + 1, change, text });
    const codes = changes.map((change) => change[0]).join('');
    return [
      {
        at: node.getStart(),
        text: `${SWITCH}(${first}, '${codes}', (`,
        closes: false,
        size: node.getWidth(),
      },
      { at: node.getEnd(), text: '))', closes: true, size: node.getWidth() },
    ];
  });
  return splice(source, inserts);
}

interface Insert {
  readonly at: number;
  readonly text: string;
  readonly closes: boolean;
  readonly size: number;
}

/** Nested sites open outside first and close inside first. */
function splice(source: string, inserts: readonly Insert[]): string {
  const ordered = inserts.toSorted(
    (a, b) =>
      a.at - b.at || Number(b.closes) - Number(a.closes) || (a.closes ? a.size - b.size : b.size - a.size),
  );
  let result = '';
  let at = 0;
  for (const insert of ordered) {
    result += source.slice(at, insert.at) + insert.text;
    at = insert.at;
  }
  return result + source.slice(at);
}

function sitesOf(node: ts.Node): Site[] {
  if (ts.isCallExpression(node)) {
    const condition = conditionOf(node);
    if (condition === undefined || condition.kind === ts.SyntaxKind.TrueKeyword) return [];
    const isAssertion = ts.isIdentifier(node.expression);
    const changes: readonly Mutant['change'][] =
      isAssertion && isNarrowing(condition) ? ['inverted'] : ['true', 'inverted'];
    return [...operandsOf(condition), { node: condition, changes }];
  }
  if (ts.isReturnStatement(node) && node.expression !== undefined) return operandsOf(node.expression);
  if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) return operandsOf(node.body);
  return [];
}

function conditionOf({ expression, arguments: given }: ts.CallExpression): ts.Expression | undefined {
  if (ts.isIdentifier(expression) && expression.text === 'demand') return given[0];
  const isCheck = ts.isPropertyAccessExpression(expression) && expression.name.text === 'check';
  return isCheck ? given[1] : undefined;
}

/** Each operand of a chain can be left out: made true in `&&`, false in `||`. */
function operandsOf(expression: ts.Expression): Site[] {
  const inner = ts.isParenthesizedExpression(expression) ? expression.expression : expression;
  if (!ts.isBinaryExpression(inner)) return [];
  const kind = inner.operatorToken.kind;
  const isAnd = kind === ts.SyntaxKind.AmpersandAmpersandToken;
  if (!isAnd && kind !== ts.SyntaxKind.BarBarToken) return [];
  const neutral: readonly Mutant['change'][] = [isAnd ? 'true' : 'false'];
  return [inner.left, inner.right].flatMap((operand) => {
    const nested = operandsOf(operand);
    if (nested.length > 0) return nested;
    return isNarrowing(operand) ? [] : [{ node: operand, changes: neutral }];
  });
}

/** `x !== undefined`: without it the code behind does not pass the type check, which is notice enough. */
const isNarrowing = (node: ts.Expression): boolean =>
  ts.isBinaryExpression(node) &&
  node.operatorToken.kind === ts.SyntaxKind.ExclamationEqualsEqualsToken &&
  (node.right.kind === ts.SyntaxKind.NullKeyword || node.right.getText() === 'undefined');

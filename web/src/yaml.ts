// Colours for a job spec: just enough of YAML to tell keys, texts, numbers and comments apart. It reads line by
// line and never fails; text that it does not know is plain.

export type TokenKind = 'plain' | 'key' | 'string' | 'number' | 'literal' | 'comment' | 'variable' | 'punctuation';

export interface Token {
  kind: TokenKind;
  text: string;
}

// In order of precedence; each alternative is a group of its own, and the names follow the groups.
const kinds: TokenKind[] = ['comment', 'variable', 'key', 'key', 'string', 'literal', 'number', 'punctuation'];
const pattern = new RegExp(
  [
    /((?<=^|\s)#.*$)/, // a comment starts a line or follows a space
    /(\$\{[^}]*\})/, // ${VAR:default}
    /((?<=^\s*(?:- )*)[^\s#"'[\]{},:][^#"'[\]{},:]*(?=:(?:\s|$)))/, // a key at the start of a line
    /((?<=[{,]\s*)[^\s#"'[\]{},:][^#"'[\]{},:]*(?=:\s))/, // a key of a flow mapping
    /("(?:[^"\\$]|\\.|\$(?!\{))*"|'(?:[^'$]|''|\$(?!\{))*')/,
    /((?<=[\s,[{:]|^)(?:true|false|null|~)(?=$|[\s,\]}]))/,
    /((?<=[\s,[{(*/+-]|^)-?\d+(?:\.\d+)?(?:ms|s|m|h|d)?(?=$|[\s,\]})*/+-]))/,
    /([{}[\],:|>-](?=\s|$)|[{}[\],])/,
  ].map((r) => r.source).join('|'),
  'g',
);

// Longer lines stay plain: what stands before a key is looked at again for each character.
const longestLine = 1000;

// highlight cuts a line into tokens whose texts, joined, are the line.
export function highlight(line: string): Token[] {
  if (line.length > longestLine) return [{ kind: 'plain', text: line }];
  const tokens: Token[] = [];
  let end = 0;
  for (const match of line.matchAll(pattern)) {
    if (match.index > end) tokens.push({ kind: 'plain', text: line.slice(end, match.index) });
    const group = match.slice(1).findIndex((g) => g !== undefined);
    tokens.push({ kind: kinds[group] ?? 'plain', text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < line.length) tokens.push({ kind: 'plain', text: line.slice(end) });
  return tokens;
}

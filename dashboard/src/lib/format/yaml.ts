/** Writes a JSON document as YAML for reading, since that is what people write. Not a full emitter. */

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Text that YAML would read as something else, or that has a sign with a meaning. */
const NEEDS_QUOTES =
  /^$|^[\s\-?:,[\]{}#&*!|>'"%@`]|: |:$| #|\s$|^(?:true|false|null|yes|no|on|off|~)$|^[-+.]?\d/i;

function scalar(value: null | boolean | number | string): string {
  if (typeof value !== 'string') return String(value);
  // eslint-disable-next-line no-control-regex -- control signs must be escaped, whatever they are
  if (/[\u0000-\u001f\u007f]/.test(value)) return JSON.stringify(value);
  if (/^\d+(?:ms|s|m|h|d|w)(?:\d+(?:ms|s|m|h|d))*$/.test(value)) return value;
  return NEEDS_QUOTES.test(value) ? `'${value.replaceAll("'", "''")}'` : value;
}

function isScalar(value: Json): value is null | boolean | number | string {
  return value === null || typeof value !== 'object';
}

function lines(value: Json, indent: string): string[] {
  if (isScalar(value)) return [indent + scalar(value)];
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      if (isScalar(item)) return [`${indent}- ${scalar(item)}`];
      const inner = lines(item, `${indent}  `);
      const [first = '', ...rest] = inner;
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  return Object.entries(value).flatMap(([key, item]) => {
    const name = `${indent}${scalar(key)}:`;
    if (isScalar(item)) return [`${name} ${scalar(item)}`];
    if (Array.isArray(item)) {
      if (item.length === 0) return [`${name} []`];
      if (item.every(isScalar)) return [`${name} [${item.map((v) => flowScalar(v)).join(', ')}]`];
    } else if (Object.keys(item).length === 0) return [`${name} {}`];
    return [name, ...lines(item, `${indent}  `)];
  });
}

/** Inside brackets a comma or a bracket has a meaning too. */
function flowScalar(value: null | boolean | number | string): string {
  const text = scalar(value);
  return typeof value === 'string' && text === value && /[,[\]{}]/.test(value) ? `'${value.replaceAll("'", "''")}'` : text;
}

export function toYaml(value: unknown): string {
  return lines(value as Json, '').join('\n');
}

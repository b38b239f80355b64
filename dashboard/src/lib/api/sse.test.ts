import { expect, test } from 'vitest';
import { SseParser, type SseEvent } from './sse';
import { retryDelay } from './stream';

const parse = (...chunks: string[]): SseEvent[] => {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

test('an event has a name, data and the id to resume from', () => {
  expect(parse('id: 7\nevent: result\ndata: {"a":1}\n\n')).toEqual([{ event: 'result', data: '{"a":1}', id: '7' }]);
});

test('it does not matter where the stream is cut', () => {
  const text = '\uFEFFid: 1\r\nevent: result\r\ndata: ä\r\ndata: b\r\n\r\n: keep-alive\r\n\r\nid: 2\rdata:c\r\rdata: d\n\n';
  const whole = parse(text);
  expect(whole).toEqual([
    { event: 'result', data: 'ä\nb', id: '1' },
    { event: 'message', data: 'c', id: '2' },
    { event: 'message', data: 'd', id: '2' },
  ]);
  for (let cut = 1; cut < text.length; cut++) expect(parse(text.slice(0, cut), text.slice(cut))).toEqual(whole);
  expect(parse(...text)).toEqual(whole);
});

test('keep-alives and events without data are nothing, but an id alone still counts', () => {
  const parser = new SseParser('5');
  expect(parser.push(':\n\nevent: x\n\nid: 9\n\n')).toEqual([]);
  expect(parser.lastId).toBe('9');
});

test('a new connection resumes from the id of the old one', () => {
  const parser = new SseParser('12-3');
  expect(parser.lastId).toBe('12-3');
  expect(parser.push('data: x\n\n')).toEqual([{ event: 'message', data: 'x', id: '12-3' }]);
});

test('an id with a null sign is ignored', () => {
  const parser = new SseParser('1');
  parser.push('id: 2\0\ndata: x\n\n');
  expect(parser.lastId).toBe('1');
});

test('an endless event is refused', () => {
  const parser = new SseParser();
  expect(() => {
    for (let i = 0; i < 20; i++) parser.push('x'.repeat(1_000_000));
  }).toThrow(/endless/);
});

test('retries wait longer and longer, up to a limit, and not all at once', () => {
  expect([1, 2, 3, 4, 5, 6, 50].map((failures) => retryDelay(failures, 0))).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
  expect(retryDelay(50, 0.999)).toBeLessThanOrEqual(10_000);
});

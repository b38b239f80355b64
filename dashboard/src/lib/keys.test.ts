import { expect, test } from 'vitest';
import { KeyReader } from './keys';

test('g and a second key are a pair, if it follows soon', () => {
  const reader = new KeyReader();
  expect(reader.read('j', 0)).toBe('j');
  expect(reader.read('g', 100)).toBeNull();
  expect(reader.read('o', 600)).toBe('g o');
  expect(reader.read('g', 1_000)).toBeNull();
  expect(reader.read('j', 3_000)).toBe('j');
});

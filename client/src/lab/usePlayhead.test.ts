import { act, cleanup, renderHook } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { usePlayhead } from './usePlayhead';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTime(ms));

test('a replay shows one second more each second, and stops at the end', () => {
  const { result } = renderHook(() => usePlayhead(3, 'playing'));
  expect(result.current).toMatchObject({ position: 0, playing: true });
  pass(2_000);
  expect(result.current.position).toBe(2);
  pass(10_000);
  expect(result.current).toMatchObject({ position: 3, playing: false });
});

test('a replay can be held and continued', () => {
  const { result } = renderHook(() => usePlayhead(10, 'playing'));
  pass(4_000);
  act(() => result.current.pause());
  pass(5_000);
  expect(result.current.position).toBe(4);
  act(() => result.current.resume());
  pass(1_000);
  expect(result.current.position).toBe(5);
});

test('all can be shown at once, and then played from the beginning', () => {
  const { result } = renderHook(() => usePlayhead(10));
  expect(result.current.position).toBeNull();
  act(() => result.current.play());
  expect(result.current.position).toBe(0);
  pass(3_000);
  act(() => result.current.showAll());
  expect(result.current).toMatchObject({ position: null, playing: false });
});

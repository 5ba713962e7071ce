import { cleanup, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, expect, test } from 'vitest';
import { Tooltip } from './Tooltip';

afterEach(cleanup);

const tip = () => screen.queryByRole('tooltip');

function show() {
  render(<Tooltip text="83% are positive.">Very Positive</Tooltip>);
  return userEvent.setup();
}

test('is the description of its trigger even while hidden', () => {
  show();
  expect(tip()).toBeNull();
  const description = screen.getByRole('button').getAttribute('aria-describedby');
  expect(document.getElementById(description ?? '')?.textContent).toBe('83% are positive.');
});

test('opens on keyboard focus, closes on Escape and on blur', async () => {
  const user = show();
  await user.tab();
  expect(tip()).not.toBeNull();
  await user.keyboard('{Escape}');
  expect(tip()).toBeNull();
  await user.keyboard('{Enter}');
  expect(tip()).not.toBeNull();
  await user.tab();
  expect(tip()).toBeNull();
});

test('opens on hover and stays open while the pointer is over it', async () => {
  const user = show();
  await user.hover(screen.getByRole('button'));
  await user.hover(screen.getByRole('tooltip'));
  expect(tip()).not.toBeNull();
  await user.unhover(screen.getByRole('tooltip'));
  expect(tip()).toBeNull();
});

test('stays open after a tap, when the finger is lifted', async () => {
  const user = show();
  await user.pointer({ keys: '[TouchA]', target: screen.getByRole('button') });
  expect(tip()).not.toBeNull();
});

import { QueryClientProvider } from '@tanstack/react-query';
import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { createActivitiesApi } from '../api/activities';
import { newQueryClient } from '../api/queries';
import { CartProvider } from '../cart/context';
import { FakeStore } from '../cart/fakeStore';
import { MessageBar } from '../cart/MessageBar';
import { VisitorStore } from '../cart/visitor';
import { ActivitiesPage } from './ActivitiesPage';
import { ActivitiesApiProvider } from './context';

/** For tests: the page with its message bar, on the fake gatekeeper that answers `fetch`. */
export function showPage() {
  render(
    <QueryClientProvider client={newQueryClient()}>
      <CartProvider api={new FakeStore()} visitors={new VisitorStore(() => null)}>
        <ActivitiesApiProvider value={createActivitiesApi('http://store.example')}>
          <ActivitiesPage />
          <MessageBar />
        </ActivitiesApiProvider>
      </CartProvider>
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

export const button = (name: string | RegExp) => screen.findByRole('button', { name });

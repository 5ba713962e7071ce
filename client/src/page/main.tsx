import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ActivitiesApiProvider } from '../activities/context';
import { createActivitiesApi } from '../api/activities';
import { pageApiBase } from '../api/base';
import { createCartApi } from '../api/cart';
import { newQueryClient, StoreApiProvider } from '../api/queries';
import { createStoreApi } from '../api/store';
import { CartProvider } from '../cart/context';
import { VisitorStore } from '../cart/visitor';
import '../ui/tokens.css';
import '../ui/ui.css';
import '../overview/overview.css';
import '../catalogue/catalogue.css';
import '../cart/cart.css';
import '../activities/activities.css';
import './page.css';
import { App } from './App';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

const base = pageApiBase(document, window.location.origin);

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={newQueryClient()}>
      <StoreApiProvider value={createStoreApi(base)}>
        <CartProvider
          api={createCartApi(base)}
          visitors={new VisitorStore(() => window.localStorage)}
        >
          <ActivitiesApiProvider value={createActivitiesApi(base)}>
            <App />
          </ActivitiesApiProvider>
        </CartProvider>
      </StoreApiProvider>
    </QueryClientProvider>
  </StrictMode>,
);

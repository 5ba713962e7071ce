import type { ReactNode } from 'react';
import { Link } from '../router/Link';

/** The heading of a page below the home page. */
export function PageHeader({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <header className="lab-page__header">
      <nav className="breadcrumb" aria-label="Breadcrumb">
        <ol>
          <li>
            <Link className="sf-link" href="/">
              All runs
            </Link>
          </li>
        </ol>
      </nav>
      <h1 className="page-title">{title}</h1>
      {children}
    </header>
  );
}

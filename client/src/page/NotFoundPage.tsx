import { CatalogueLink } from '../router/CatalogueLink';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { EmptyShelfIcon } from '../ui/icons';
import { StatusPanel } from '../ui/StatusPanel';

/** For a path that is neither a page of the store nor a game number. */
export function NotFoundPage() {
  useDocumentTitle('Page not found');
  return (
    <StatusPanel
      icon={<EmptyShelfIcon />}
      title="Page not found"
      headingLevel={1}
      actions={<CatalogueLink />}
    >
      There is no page at this address. The address of a game is its number, such as /42.
    </StatusPanel>
  );
}

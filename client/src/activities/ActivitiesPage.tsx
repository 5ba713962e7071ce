import { useLastErrorKind } from '../api/useLastErrorKind';
import { CatalogueLink } from '../router/CatalogueLink';
import { useQueryParam } from '../router/location';
import { EmptyShelfIcon } from '../ui/icons';
import { StatusPanel } from '../ui/StatusPanel';
import { useErrorPage } from '../ui/useErrorPage';
import { Composer } from './Composer';
import { Counters } from './Counters';
import { DraftProvider } from './draft';
import { MessageDetails } from './MessageDetails';
import { Messages } from './Messages';
import { useStatus } from './queries';
import { Rejections } from './Rejections';
import { Tables } from './Tables';

/** The messages of the activities gatekeeper: sending, watching and repairing them, and their tables. */
export function ActivitiesPage() {
  const query = useStatus();
  const missing = useLastErrorKind(query) === 'missing' && query.data === undefined;
  const errorPage = useErrorPage(query, { title: 'Activities', enabled: !missing });
  if (missing) return <NoActivities />;
  if (errorPage) return errorPage;
  return (
    <div className="activities">
      <header className="activities__header">
        <h1 className="page-title">Activities</h1>
        <p>
          A message of inserts and deletes is checked when it is sent, queued, and then applied as
          one transaction, all of it or nothing.
        </p>
      </header>
      <Counters query={query} />
      <DraftProvider>
        <Composer />
        <MessageOfAddress />
        <Messages />
      </DraftProvider>
      <Rejections />
      <Tables />
    </div>
  );
}

/** The message that the page's address names. */
function MessageOfAddress() {
  const id = useQueryParam('message');
  return id === null || id === '' ? null : <MessageDetails key={id} id={id} />;
}

function NoActivities() {
  return (
    <StatusPanel
      icon={<EmptyShelfIcon />}
      title="This store has no activities"
      headingLevel={1}
      actions={<CatalogueLink />}
    >
      The server does not serve the activities gatekeeper, so there is nothing to send or to watch
      here.
    </StatusPanel>
  );
}

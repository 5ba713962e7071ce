import { useState } from 'react';
import { useImage } from '../api/queries';
import { GameOffer } from '../cart/offers';
import { type Content, GameOverview } from '../overview/GameOverview';
import { MissingGame } from '../overview/MissingGame';
import { CatalogueLink } from '../router/CatalogueLink';
import { Link } from '../router/Link';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { useFocusAfterRetry } from '../router/useFocusAfterRetry';

/** The page of one game. Key it by the id, which is null when the path holds no game number. */
export function GamePage({ id }: { id: number | null }) {
  const [content, setContent] = useState<Content>(id === null ? 'missing' : 'loading');
  useDocumentTitle(titleOf(content));
  useFocusAfterRetry(content === 'error');
  return (
    <div className="game">
      {id !== null && typeof content === 'object' && <Backdrop id={id} />}
      <nav className="breadcrumb" aria-label="Breadcrumb">
        <ol>
          <li>
            <Link href="/">Catalogue</Link>
          </li>
          {id !== null && <li aria-current="page">Game #{id}</li>}
        </ol>
      </nav>
      {id === null ? (
        <MissingGame id={null} headingLevel={1} actions={<CatalogueLink />} />
      ) : (
        <GameOverview
          id={id}
          headingLevel={1}
          missingActions={<CatalogueLink />}
          onContentChange={setContent}
          offer={(overview) => <GameOffer overview={overview} />}
        />
      )}
    </div>
  );
}

function titleOf(content: Content): string {
  if (content === 'loading') return 'Loading …';
  if (content === 'missing') return 'No such game';
  if (content === 'error') return 'The store is not available';
  return content.name;
}

/** The banner again, blurred, as a background. */
function Backdrop({ id }: { id: number }) {
  const { data } = useImage(id);
  return data === undefined ? null : (
    <div className="backdrop" aria-hidden="true">
      <img src={data} alt="" decoding="async" />
    </div>
  );
}

import { useState } from 'react';
import { useImage } from '../api/queries';
import { GameOffer } from '../cart/offers';
import { type Content, GameOverview } from '../overview/GameOverview';
import { CatalogueLink } from '../router/CatalogueLink';
import { Link } from '../router/Link';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { useFocusAfterRetry } from '../router/useFocusAfterRetry';

/** The page of one game. Key it by the id. */
export function GamePage({ id }: { id: number }) {
  const [content, setContent] = useState<Content>('loading');
  useDocumentTitle(titleOf(content));
  useFocusAfterRetry(content === 'error');
  return (
    <div>
      {typeof content === 'object' && <Backdrop id={id} />}
      <nav className="breadcrumb" aria-label="Breadcrumb">
        <ol>
          <li>
            <Link className="sf-link" href="/">
              Catalogue
            </Link>
          </li>
          <li aria-current="page">Game #{id}</li>
        </ol>
      </nav>
      <GameOverview
        id={id}
        headingLevel={1}
        missingActions={<CatalogueLink />}
        onContentChange={setContent}
        offer={(overview) => <GameOffer overview={overview} />}
      />
    </div>
  );
}

function titleOf(content: Content): string {
  if (content === 'loading') return 'Loading…';
  if (content === 'missing') return 'Game not found';
  if (content === 'error') return 'Error';
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

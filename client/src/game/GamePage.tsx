import { useState } from 'react';
import { useImage } from '../api/queries';
import { GameOffer } from '../cart/Offer';
import { ToCatalogue } from '../catalogue/ToCatalogue';
import { GameOverview, type Shown } from '../overview/GameOverview';
import { MissingGame } from '../overview/MissingGame';
import { useDocumentTitle } from '../page/useDocumentTitle';
import { useFocusAfterTrouble } from '../page/useFocusAfterTrouble';
import { Link } from '../router/Link';

/** One game's own page. Key it by the id; null is an address that is no game number. */
export function GamePage({ id }: { id: number | null }) {
  const [shown, setShown] = useState<Shown>(id === null ? 'missing' : 'loading');
  useDocumentTitle(titleOf(shown));
  useFocusAfterTrouble(shown === 'trouble');
  return (
    <div className="game">
      {id !== null && typeof shown === 'object' && <Backdrop id={id} />}
      <nav className="breadcrumb" aria-label="Breadcrumb">
        <ol>
          <li>
            <Link href="/">Catalogue</Link>
          </li>
          {id !== null && <li aria-current="page">Game #{id}</li>}
        </ol>
      </nav>
      {id === null ? (
        <MissingGame id={null} headingLevel={1} actions={<ToCatalogue />} />
      ) : (
        <GameOverview
          id={id}
          headingLevel={1}
          missingActions={<ToCatalogue />}
          onShown={setShown}
          offer={(overview) => <GameOffer overview={overview} />}
        />
      )}
    </div>
  );
}

function titleOf(shown: Shown): string {
  if (shown === 'loading') return 'Loading …';
  if (shown === 'missing') return 'No such game';
  if (shown === 'trouble') return 'The store is not available';
  return shown.name;
}

/** The banner once more, blurred, as the light the page stands in. */
function Backdrop({ id }: { id: number }) {
  const { data } = useImage(id);
  return data === undefined ? null : (
    <div className="backdrop" aria-hidden="true">
      <img src={data} alt="" decoding="async" />
    </div>
  );
}

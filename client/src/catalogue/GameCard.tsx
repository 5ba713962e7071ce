import { useRef } from 'react';
import type { Overview } from '../api/overview';
import { useImage } from '../api/queries';
import { CardOffer } from '../cart/offers';
import { Banner } from '../overview/Banner';
import { Link } from '../router/Link';
import { formatDate } from '../ui/format';
import { useNearViewport } from '../ui/useNearViewport';

const MAX_TAGS = 3;

export function GameCard({ overview }: { overview: Overview }) {
  const card = useRef<HTMLLIElement>(null);
  // Images and prices load only when a card is near the viewport, to limit concurrent requests.
  const near = useNearViewport(card);
  const image = useImage(overview.id, near);
  return (
    <li className="card" ref={card}>
      <Banner url={image.data ?? null} failed={image.isError} name={overview.name} alt="" lazy />
      <div className="card__text">
        <h2 className="card__name">
          <Link href={`/${overview.id}`}>{overview.name}</Link>
        </h2>
        <p className="card__developer">
          {overview.developer} <span aria-hidden="true">·</span>{' '}
          <time className="card__date">{formatDate(overview.releaseDate)}</time>
        </p>
        <p className="card__footer">
          <span className="card__tags">{overview.tags.slice(0, MAX_TAGS).join(', ')}</span>
          <span className="card__number">
            <span className="sf-visually-hidden">Game number </span>
            <span aria-hidden="true">#</span>
            {overview.id}
          </span>
        </p>
        <CardOffer overview={overview} near={near} />
      </div>
    </li>
  );
}

import type { ReactNode } from 'react';
import type { Overview } from '../api/overview';
import { useImage } from '../api/queries';
import { formatDate } from '../ui/format';
import { Banner } from './Banner';
import { ReviewLines } from './ReviewLines';
import { Tags } from './Tags';

interface Props {
  overview: Overview;
  headingLevel: 1 | 2;
  /** Shown under the banner. */
  offer?: ReactNode;
}

/** A game's overview once it has loaded. */
export function OverviewView({ overview, headingLevel, offer }: Props) {
  const Heading = `h${headingLevel}` as const;
  const Subheading = headingLevel === 1 ? 'h2' : 'h3';
  const image = useImage(overview.id);
  return (
    <article className="sf-overview" data-game={overview.id}>
      <Heading className="sf-overview__name">{overview.name}</Heading>
      <div className="sf-overview__columns">
        <div className="sf-overview__main">
          <Banner
            url={image.data ?? null}
            failed={image.isError}
            name={overview.name}
            alt={`Banner of ${overview.name}`}
          />
          {offer}
          <section className="sf-overview__about">
            <Subheading className="sf-label">About this game</Subheading>
            <p className="sf-overview__description">{overview.description}</p>
          </section>
        </div>
        <Facts overview={overview} Subheading={Subheading} />
      </div>
    </article>
  );
}

function Facts({ overview, Subheading }: { overview: Overview; Subheading: 'h2' | 'h3' }) {
  return (
    <section className="sf-panel">
      <Subheading className="sf-visually-hidden">Details</Subheading>
      <dl className="sf-facts">
        <ReviewLines id={overview.id} />
        <Fact name="Release date">
          <time>{formatDate(overview.releaseDate)}</time>
        </Fact>
        <Fact name="Developer">{overview.developer}</Fact>
        <Fact name="Publisher">{overview.publisher}</Fact>
      </dl>
      {overview.tags.length > 0 && (
        <div className="sf-panel__tags">
          <Subheading className="sf-label">Tags</Subheading>
          <Tags key={overview.tags.join('\n')} tags={overview.tags} />
        </div>
      )}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="sf-facts__row">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

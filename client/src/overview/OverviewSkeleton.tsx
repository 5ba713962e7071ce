/** A placeholder in the overview's shape while it loads. */
export function OverviewSkeleton({ headingLevel }: { headingLevel: 1 | 2 }) {
  const Heading = `h${headingLevel}` as const;
  return (
    <div className="sf-overview" aria-busy="true">
      <div role="status">
        <Heading className="sf-visually-hidden">Loading game…</Heading>
      </div>
      <div className="sf-skeleton sf-skeleton--name" />
      <div className="sf-overview__columns">
        <div className="sf-overview__main">
          <div className="sf-banner sf-skeleton" />
          <div className="sf-skeleton sf-skeleton--text" />
        </div>
        <div className="sf-panel">
          {['a', 'b', 'c', 'd', 'e'].map((row) => (
            <div key={row} className="sf-skeleton sf-skeleton--line" />
          ))}
        </div>
      </div>
    </div>
  );
}

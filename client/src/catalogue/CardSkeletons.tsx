const CARDS = Array.from({ length: 12 }, (_, index) => index);

/** Placeholders for the cards while the catalogue loads. */
export function CardSkeletons() {
  return (
    <div className="game-grid" aria-busy="true">
      <p className="sf-visually-hidden" role="status">
        Loading catalogue…
      </p>
      {CARDS.map((card) => (
        <div key={card} className="card">
          <div className="sf-banner sf-skeleton" />
          <div className="card__text">
            <div className="sf-skeleton sf-skeleton--line" />
            <div className="sf-skeleton sf-skeleton--line" />
          </div>
        </div>
      ))}
    </div>
  );
}

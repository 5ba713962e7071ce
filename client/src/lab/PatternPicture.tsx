const SECONDS = 8;
const WIDTH = 6;
const GAP = 2;
const HEIGHT = 34;

interface Props {
  /** Transactions a second, repeating. */
  rates: readonly number[];
  /** The height of the picture is this rate. */
  highest: number;
}

/** The first seconds of a pattern as bars. The text beside it says the same. */
export function PatternPicture({ rates, highest }: Props) {
  const bars = Array.from({ length: SECONDS }, (_, second) => rates[second % rates.length] ?? 0);
  return (
    <svg
      className="pattern-picture"
      viewBox={`0 0 ${SECONDS * (WIDTH + GAP) - GAP} ${HEIGHT}`}
      aria-hidden="true"
    >
      {bars.map((rate, second) => {
        const height = Math.max(2, (HEIGHT * rate) / Math.max(1, highest));
        return (
          <rect
            key={second}
            x={second * (WIDTH + GAP)}
            y={HEIGHT - height}
            width={WIDTH}
            height={height}
            rx="1"
          />
        );
      })}
    </svg>
  );
}

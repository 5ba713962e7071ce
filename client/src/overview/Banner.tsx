import { useState } from 'react';

interface Props {
  /** Null while unknown. */
  url: string | null;
  /** The picture's service did not answer. */
  failed: boolean;
  name: string;
  /** Empty where the name stands beside it anyway. */
  alt: string;
  lazy?: boolean;
}

/** A game's picture in a frame of fixed shape: nothing jumps when it arrives, or never does. */
export function Banner({ url, failed, name, alt, lazy }: Props) {
  const [broken, setBroken] = useState<string | null>(null);
  if (failed || (url !== null && broken === url)) return <Placeholder name={name} alt={alt} />;
  return (
    <div className={url === null ? 'sf-banner sf-skeleton' : 'sf-banner'}>
      {url !== null && (
        <img
          src={url}
          alt={alt}
          loading={lazy ? 'lazy' : 'eager'}
          decoding="async"
          onError={() => setBroken(url)}
        />
      )}
    </div>
  );
}

/** What stands in for a picture: the game's initials. */
function Placeholder({ name, alt }: { name: string; alt: string }) {
  const label =
    alt === '' ? { 'aria-hidden': true } : { role: 'img', 'aria-label': `${alt} (no picture)` };
  return (
    <div className="sf-banner sf-banner--placeholder" {...label}>
      <span>{initials(name)}</span>
    </div>
  );
}

function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  return words
    .slice(0, 2)
    .map((word) => Array.from(word)[0]?.toUpperCase())
    .join('');
}

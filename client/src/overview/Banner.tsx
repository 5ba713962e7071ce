import { useState } from 'react';

interface Props {
  /** Null while unknown. */
  url: string | null;
  /** The image service gave no URL. */
  failed: boolean;
  name: string;
  /** Empty where the name is shown beside the banner. */
  alt: string;
  lazy?: boolean;
}

/** A game's image. The aspect ratio is fixed, so that nothing moves when the image loads or fails. */
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

/** Shown in place of an image: the game's initials. */
function Placeholder({ name, alt }: { name: string; alt: string }) {
  const label =
    alt === '' ? { 'aria-hidden': true } : { role: 'img', 'aria-label': `${alt} (no image)` };
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

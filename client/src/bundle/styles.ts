import overview from '../overview/overview.css?inline';
import tokens from '../ui/tokens.css?inline';
import ui from '../ui/ui.css?inline';
import bundle from './bundle.css?inline';

/** Everything the overview needs, for its shadow root. `bundle` resets, so it comes first. */
export function bundleStyles(): string {
  return remToPx([bundle, tokens, ui, overview].join('\n'));
}

/** A host page may have changed what 1rem is (`html { font-size: 62.5% }` is common). */
export function remToPx(css: string): string {
  return css.replace(/(\d*\.?\d+)rem\b/g, (_, size: string) => `${Number(size) * 16}px`);
}

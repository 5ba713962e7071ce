import overview from '../overview/overview.css?inline';
import tokens from '../ui/tokens.css?inline';
import ui from '../ui/ui.css?inline';
import bundle from './bundle.css?inline';

/** All styles of the overview's shadow root. `bundle` resets properties, so it must come first. */
export function bundleStyles(): string {
  return remToPx([bundle, tokens, ui, overview].join('\n'));
}

/** `rem` depends on the host page's root font size, which is often changed (to 62.5%, say). */
export function remToPx(css: string): string {
  return css.replace(/(\d*\.?\d+)rem\b/g, (_, size: string) => `${Number(size) * 16}px`);
}

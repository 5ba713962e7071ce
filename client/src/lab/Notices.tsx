import type { Notice } from './verdict';

export function Notices({ notices }: { notices: readonly Notice[] }) {
  return notices.map(({ tone, title, text }) => (
    <div key={title} className="notice" data-tone={tone}>
      <strong>{title}</strong>
      <p>{text}</p>
    </div>
  ));
}

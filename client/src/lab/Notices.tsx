import type { Notice } from './verdict';

interface Props {
  notices: readonly Notice[];
  /** Of the run, where there are two. */
  letter?: string;
}

/** What must be known before the charts are read. */
export function Notices({ notices, letter }: Props) {
  if (notices.length === 0) return null;
  const list = notices.map(({ tone, title, text }) => (
    <div key={title} className="notice" data-tone={tone}>
      <strong>{letter === undefined ? title : `${letter}: ${title}`}</strong>
      <p>{text}</p>
    </div>
  ));
  return <div className="notices">{list}</div>;
}

/** The same in a word, beside what it is about. */
export function NoticeTags({ notices }: { notices: readonly Notice[] }) {
  return notices.map(
    ({ tone, tag }) =>
      tag !== null && (
        <span key={tag} className="tag" data-tone={tone}>
          {tag}
        </span>
      ),
  );
}

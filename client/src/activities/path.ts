export const ACTIVITIES_PATH = '/activities';

/** Whether `pathname` is the page of activities. The server ignores a trailing slash, so this does too. */
export function isActivitiesPath(pathname: string): boolean {
  return pathname.replace(/\/+$/, '') === ACTIVITIES_PATH;
}

/** The page with the details of one message. */
export function messageHref(id: string): string {
  return `${ACTIVITIES_PATH}?${new URLSearchParams({ message: id })}`;
}

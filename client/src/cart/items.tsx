import { parseGameId } from '../api/gameId';
import { useImage, useOverview } from '../api/queries';
import { Banner } from '../overview/Banner';
import { Link } from '../router/Link';

/** Parts that show an item as the game it stands for. */

function useGame(itemId: string) {
  const id = parseGameId(itemId);
  return useOverview(id ?? 0, id !== null).data;
}

/** The game's name; an item that is not a game, or whose game was removed, is named by its id. */
export function useItemName(itemId: string): string {
  return useGame(itemId)?.name ?? `Item ${itemId}`;
}

/** The name, as a link to the game's page if there is one. */
export function ItemLink({ itemId }: { itemId: string }) {
  const game = useGame(itemId);
  const name = useItemName(itemId);
  return game ? <Link href={`/${game.id}`}>{name}</Link> : name;
}

export function ItemBanner({ itemId }: { itemId: string }) {
  const id = parseGameId(itemId);
  const image = useImage(id ?? 0, id !== null);
  const name = useItemName(itemId);
  return (
    <Banner
      url={image.data ?? null}
      failed={image.isError || id === null}
      name={name}
      alt=""
      lazy
    />
  );
}

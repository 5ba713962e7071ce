//! What a desk makes of the moves that wait at it. Pure.

use tokio::time::Instant;
use uuid::Uuid;

use super::accounts::{Change, Page};
use super::ledger::{Expected, Head, Move, Row, RowState, Verdict, decide};
use super::saga::{Moved, Short};

/// A move that somebody waits for.
pub(super) struct Ask {
    pub(super) act: Uuid,
    pub(super) wanted: Move,
    pub(super) expected: Option<Expected>,
    pub(super) until: Instant,
}

/// What a desk decides from.
pub(super) struct View {
    pub(super) page: Page,
    /// Whether it is as the last write has left it.
    pub(super) certain: bool,
}

/// What comes of the moves that were looked at.
pub(super) struct Plan {
    pub(super) change: Option<Change>,
    /// For each of them in turn; `None`: it waits on.
    pub(super) outcomes: Vec<Option<Moved>>,
    /// Whether one of them can only be decided about for certain.
    pub(super) in_doubt: bool,
    /// Whether all of them have ended before, which stays so: a row never goes back.
    pub(super) ended: bool,
}

/// What the moves would find if all is as it is believed to be.
pub(super) fn believed<'a>(
    head: Option<Head>,
    mut asks: impl Iterator<Item = &'a Ask> + Clone,
) -> Option<Page> {
    let new = asks.clone().all(|ask| ask.expected == Some(Expected::NoPartition));
    if head.is_none() && !new || !asks.all(|ask| ask.expected.is_some()) {
        return None;
    }
    let reserved = asks.filter_map(|ask| match ask.expected {
        Some(Expected::Reserved(amount)) => {
            Some((ask.act, Row { state: RowState::Reserved, amount }))
        }
        _ => None,
    });
    Some(Page { head, began: Uuid::nil(), rows: reserved.collect() })
}

/// Decides about moves one after the other, each finding what those before it leave.
pub(super) fn plan<'a>(View { page, certain }: &View, asks: impl Iterator<Item = &'a Ask>) -> Plan {
    let (mut now, mut changed) = (page.clone(), Vec::new());
    let (mut in_doubt, mut ended) = (false, true);
    let outcomes = asks.map(|ask| {
        let row = now.row(ask);
        // No condition of the batch would notice a row that was overlooked.
        if !certain && row.is_none() && ask.wanted == Move::Settle {
            (in_doubt, ended) = (true, false);
            return None;
        }
        ended &= row.is_some_and(|row| row.state != RowState::Reserved);
        let moved = outcome(decide(now.head, row, ask.wanted), |head, row| {
            now.head = Some(head);
            match ask.wanted {
                Move::Begin { .. } => now.began = ask.act,
                _ => {
                    now.rows.insert(ask.act, row);
                    changed.push(ask.act);
                }
            }
        });
        moved.map(|moved| match moved {
            Moved::Done { .. } => Moved::Done { epoch: now.head.map_or(0, |head| head.epoch) },
            other => other,
        })
    });
    let outcomes: Vec<_> = outcomes.collect();
    changed.sort_unstable();
    changed.dedup();
    let rows = changed.iter().map(|act| {
        let before = page.rows.get(act).map(|row| row.state);
        (*act, before, now.rows[act])
    });
    let rows: Vec<_> = rows.collect();
    let head = now.head.filter(|_| now.head != page.head);
    let if_version = page.head.map(|head| head.version);
    let change = head.map(|head| Change { if_version, head, began: now.began, rows });
    Plan { change, outcomes, in_doubt, ended }
}

/// What becomes of a move; `None`: it waits.
fn outcome(verdict: Verdict, change: impl FnOnce(Head, Row)) -> Option<Moved> {
    Some(match verdict {
        Verdict::Change(head, row) => {
            change(head, row);
            Moved::Done { epoch: head.epoch }
        }
        Verdict::Done => Moved::Done { epoch: 0 },
        Verdict::Wait => return None,
        Verdict::Missing => Moved::Refused(Short::Missing),
        Verdict::TooLittle => Moved::Refused(Short::TooLittle),
        Verdict::TooMuch => Moved::Refused(Short::TooMuch),
        Verdict::Fenced => Moved::Fenced,
    })
}

impl Page {
    /// The row of an act. Whoever began the account is noted in its head.
    fn row(&self, ask: &Ask) -> Option<Row> {
        let began = matches!(ask.wanted, Move::Begin { .. }) && self.began == ask.act;
        let done = Row { state: RowState::Done, amount: 0 };
        if began { Some(done) } else { self.rows.get(&ask.act).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        version: 5,
        free: 2,
        held: 1,
        taken: 0,
        added: 3,
        removed: 0,
        erased: 0,
        epoch: 4,
        price: 1,
    };

    fn ask(act: u128, wanted: Move) -> Ask {
        let expected = Some(Expected::Nothing);
        Ask { act: Uuid::from_u128(act), wanted, expected, until: Instant::now() }
    }

    fn view(certain: bool, rows: &[(u128, RowState)]) -> View {
        let row = |(act, state): &(u128, RowState)| {
            (Uuid::from_u128(*act), Row { state: *state, amount: 1 })
        };
        let page =
            Page { head: Some(HEAD), began: Uuid::nil(), rows: rows.iter().map(row).collect() };
        View { page, certain }
    }

    const DONE: Option<Moved> = Some(Moved::Done { epoch: 4 });

    #[test]
    fn who_comes_first_is_served_and_the_others_wait() {
        let asks: Vec<_> = (1..5).map(|act| ask(act, Move::Reserve(1))).collect();
        let plan = plan(&view(false, &[]), asks.iter());
        assert_eq!(plan.outcomes, [DONE, DONE, None, None]);
        let change = plan.change.unwrap();
        assert_eq!((change.if_version, change.head.version, change.head.held), (Some(5), 7, 3));
        assert!(change.rows.iter().all(|(_, before, _)| before.is_none()));
        assert_eq!(change.rows.len(), 2);
    }

    #[test]
    fn what_is_given_back_can_be_had_in_the_same_batch() {
        let asks = [ask(9, Move::Release), ask(1, Move::Reserve(3))];
        let plan = plan(&view(true, &[(9, RowState::Reserved)]), asks.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
    }

    #[test]
    fn one_act_is_done_once_however_many_want_it() {
        let asks = [ask(9, Move::Settle), ask(9, Move::Settle)];
        let plan = plan(&view(true, &[(9, RowState::Reserved)]), asks.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
        let change = plan.change.unwrap();
        assert_eq!((change.head.taken, change.rows.len()), (1, 1));
    }

    #[test]
    fn what_was_not_seen_is_not_settled_before_it_is_certain() {
        let asks = [ask(9, Move::Settle)];
        for certain in [false, true] {
            let plan = plan(&view(certain, &[]), asks.iter());
            assert_eq!((plan.in_doubt, plan.outcomes[0].is_some()), (!certain, certain));
            assert!(plan.change.is_none());
        }
    }

    #[test]
    fn what_has_ended_needs_no_second_look() {
        let asks = [ask(9, Move::Settle)];
        for (state, ended) in [(RowState::Done, true), (RowState::Reserved, false)] {
            assert_eq!(plan(&view(false, &[(9, state)]), asks.iter()).ended, ended);
        }
    }

    #[test]
    fn who_began_an_account_does_not_begin_it_again() {
        let asks = [ask(9, Move::Begin { free: 1, price: 1 })];
        let mut view = view(true, &[]);
        view.page.began = Uuid::from_u128(9);
        let plan = plan(&view, asks.iter());
        assert_eq!((plan.outcomes, plan.change.is_none()), (vec![DONE], true));
    }

    #[test]
    fn nothing_is_believed_of_a_move_that_expects_nothing() {
        let unknown = Ask { expected: None, ..ask(1, Move::Settle) };
        let new = ask(2, Move::Reserve(1));
        assert!(believed(Some(HEAD), [&unknown, &new].into_iter()).is_none());
        assert!(believed(None, [&new].into_iter()).is_none());
        assert!(believed(Some(HEAD), [&new].into_iter()).is_some());
    }
}

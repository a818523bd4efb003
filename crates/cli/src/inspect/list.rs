//! A list that is longer than the screen: where the cursor is, and what is in sight.

/// A cursor in a list, and the first row in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) at: usize,
    pub(super) top: usize,
}

/// Where to move a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl List {
    /// Moves the cursor in a list of `count` rows of which `page` are in sight.
    pub(super) fn go(&mut self, motion: Motion, count: usize, page: usize) {
        let page = page.max(1);
        self.at = match motion {
            Motion::Up => self.at.saturating_sub(1),
            Motion::Down => self.at + 1,
            Motion::PageUp => self.at.saturating_sub(page),
            Motion::PageDown => self.at + page,
            Motion::First => 0,
            Motion::Last => count,
        };
        self.settle(count, page);
    }

    /// Keeps the cursor in the list, and in sight.
    pub(super) fn settle(&mut self, count: usize, page: usize) {
        let page = page.max(1);
        self.at = self.at.min(count.saturating_sub(1));
        self.top = self.top.clamp((self.at + 1).saturating_sub(page), self.at);
        self.top = self.top.min(count.saturating_sub(page));
    }

    /// Tells whether the cursor is on the last of `count` rows.
    pub(super) fn is_last(&self, count: usize) -> bool {
        self.at + 1 >= count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_the_list_and_in_sight() {
        let mut list = List::default();
        let mut after = |motion| {
            list.go(motion, 10, 3);
            (list.at, list.top)
        };
        assert_eq!([after(Motion::Up), after(Motion::Down), after(Motion::Last)], [(0, 0), (1, 0), (9, 7)]);
        assert_eq!(
            [after(Motion::Down), after(Motion::PageUp), after(Motion::First)],
            [(9, 7), (6, 6), (0, 0)]
        );
        assert_eq!(after(Motion::PageDown), (3, 1));
        list.settle(2, 3);
        assert_eq!((list.at, list.top), (1, 0));
        list.settle(0, 3);
        assert_eq!((list.at, list.top), (0, 0));
    }
}

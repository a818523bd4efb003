//! The messages of a transcript as a tree: the branch of its head, and what leads away from it.

use std::collections::HashMap;

use crate::transcript::{Entry, Transcript};

/// How deep branches of branches are told apart; what is deeper follows in the order of the log.
const MAX_DEPTH: usize = 24;

/// One step of a walk.
pub(super) enum Place<'a> {
    /// A message.
    Message(&'a Entry),
    /// A branch begins beside the message that follows it.
    Open {
        /// Its first message.
        first: &'a Entry,
        /// How many messages it has, those of its own branches included.
        messages: usize,
    },
    /// That branch is over.
    Close,
}

/// Who follows whom. Messages are named by their places, and a parent is always before its children.
pub(super) struct Tree<'a> {
    entries: &'a [Entry],
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// How many messages there are from each on.
    sizes: Vec<usize>,
    /// Whether a message is on the branch of the head.
    main: Vec<bool>,
}

impl<'a> Tree<'a> {
    pub(super) fn of(transcript: &'a Transcript) -> Self {
        let entries = &transcript.entries[..];
        let places: HashMap<_, _> = entries.iter().enumerate().map(|(at, entry)| (&entry.id, at)).collect();
        let parent = |at: usize| {
            let id = entries[at].parent.as_ref()?;
            places.get(id).copied().filter(|parent| *parent < at)
        };
        let (mut roots, mut children) = (Vec::new(), vec![Vec::new(); entries.len()]);
        let mut sizes = vec![1; entries.len()];
        for at in (0..entries.len()).rev() {
            match parent(at) {
                Some(parent) => {
                    sizes[parent] += sizes[at];
                    children[parent].push(at);
                }
                None => roots.push(at),
            }
        }
        let mut main = vec![false; entries.len()];
        let mut next = transcript.head().and_then(|head| places.get(&head.id).copied());
        while let Some(at) = next {
            main[at] = true;
            next = parent(at);
        }
        roots.reverse();
        children.iter_mut().for_each(|children| children.reverse());
        Self { entries, roots, children, sizes, main }
    }

    /// Returns every message once, siblings before the one that the walk goes on with.
    pub(super) fn walk(&self) -> Vec<Place<'a>> {
        let mut steps = Vec::with_capacity(self.entries.len());
        self.follow(&self.roots, 0, &mut steps);
        steps
    }

    /// Walks from one of these siblings to the end of its branch.
    fn follow(&self, siblings: &[usize], depth: usize, steps: &mut Vec<Place<'a>>) {
        let mut siblings = siblings;
        while let Some(last) = siblings.last() {
            let chosen = siblings.iter().copied().find(|at| self.main[*at]).unwrap_or(*last);
            for beside in siblings.iter().copied().filter(|at| *at != chosen) {
                self.beside(beside, depth, steps);
            }
            steps.push(Place::Message(&self.entries[chosen]));
            siblings = &self.children[chosen];
        }
    }

    fn beside(&self, at: usize, depth: usize, steps: &mut Vec<Place<'a>>) {
        steps.push(Place::Open { first: &self.entries[at], messages: self.sizes[at] });
        match depth < MAX_DEPTH {
            true => self.follow(&[at], depth + 1, steps),
            false => {
                let mut all = vec![at];
                let mut next = 0;
                while next < all.len() {
                    all.extend_from_slice(&self.children[all[next]]);
                    next += 1;
                }
                all.sort_unstable();
                steps.extend(all.into_iter().map(|at| Place::Message(&self.entries[at])));
            }
        }
        steps.push(Place::Close);
    }
}

//! Colours of curves.

use std::collections::BTreeMap;

use crate::chart::MOST_SERIES;

/// Which slot each name has, so that it has the same colour in all panels of a dashboard, as far as there are enough.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<String, usize>);

impl Slots {
    /// Those of the curves of one panel, at most [`MOST_SERIES`]: no two have the same.
    pub(super) fn of(&mut self, names: &[&str]) -> Vec<usize> {
        let mut is_free = [true; MOST_SERIES];
        let mut take = |slot: usize| std::mem::replace(&mut is_free[slot % MOST_SERIES], false);
        let known = names
            .iter()
            .map(|name| self.0.get(*name).copied().filter(|slot| take(*slot)));
        let known: Vec<Option<usize>> = known.collect();
        let mut free = (0..MOST_SERIES).filter(|slot| is_free[*slot]);
        let slots: Vec<usize> = known
            .iter()
            .map(|slot| slot.or_else(|| free.next()).unwrap_or_default())
            .collect();
        for (name, slot) in names.iter().zip(&slots) {
            self.0.entry((*name).to_owned()).or_insert(*slot);
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_colour_and_no_two_of_a_panel_share_one() {
        let mut slots = Slots::default();
        assert_eq!(slots.of(&["a", "b", "c"]), [0, 1, 2]);
        assert_eq!(slots.of(&["c", "d", "a"]), [2, 1, 0]);
        // Both would have 1.
        assert_eq!(slots.of(&["b", "d", "e"]), [1, 0, 2]);
        assert_eq!(slots.of(&["x", "x"]), [0, 1]);
        assert_eq!(
            slots.of(&["1", "2", "3", "4", "5", "6", "7", "8"]),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
    }
}

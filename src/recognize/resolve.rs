//! Overlaps: when several kinds claim the same text, the most specific has it, then the longest.

use crate::token::Confidence;

/// A match, before and after the overlaps are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub start: usize,
    pub end: usize,
    /// Index of the kind.
    pub kind: usize,
    pub confidence: Confidence,
    pub rank: Rank,
}

/// How specific a match is; the fields are compared from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Its kind belongs to an issuer.
    pub specific: bool,
    /// Its checksum or structure fits.
    pub fits: bool,
    /// Characters that every token of the kind has.
    pub literal_len: u16,
    /// How near the word is that its kind needs; 0 without one.
    pub nearness: u16,
    pub len: usize,
}

impl Hit {
    /// The same match with a word of its kind at this distance.
    pub fn near(&self, distance: usize) -> Self {
        let mut hit = *self;
        hit.rank.nearness = u16::MAX - u16::try_from(distance).unwrap_or(u16::MAX - 1);
        hit
    }
}

/// Leaves the hits that win, in order of their start.
pub fn resolve(hits: &mut Vec<Hit>) {
    if hits.len() < 2 {
        return;
    }
    hits.sort_unstable_by_key(|hit| (hit.start, hit.end, hit.kind));
    let mut kept = 0;
    let mut from = 0;
    while from < hits.len() {
        // A cluster: each hit overlaps one before it.
        let mut to = from + 1;
        let mut end = hits[from].end;
        while to < hits.len() && hits[to].start < end {
            end = end.max(hits[to].end);
            to += 1;
        }
        let winners = win(&mut hits[from..to]);
        hits.copy_within(from..from + winners, kept);
        kept += winners;
        from = to;
    }
    hits.truncate(kept);
}

/// Moves the winners of a cluster to its front, in order, and says how many they are.
fn win(cluster: &mut [Hit]) -> usize {
    cluster.sort_unstable_by(|one, two| {
        two.rank.cmp(&one.rank).then(one.start.cmp(&two.start)).then(one.kind.cmp(&two.kind))
    });
    let mut winners = 0;
    for at in 0..cluster.len() {
        let hit = cluster[at];
        // The winners are kept in order of their start, so only the two neighbours can overlap.
        let place = cluster[..winners].partition_point(|winner| winner.start < hit.start);
        let before = place.checked_sub(1).is_none_or(|before| cluster[before].end <= hit.start);
        let after = place == winners || hit.end <= cluster[place].start;
        if before && after {
            cluster.copy_within(place..winners, place + 1);
            cluster[place] = hit;
            winners += 1;
        }
    }
    winners
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(start: usize, end: usize, literal_len: u16) -> Hit {
        let rank = Rank { specific: true, fits: false, literal_len, nearness: 0, len: end - start };
        Hit { start, end, kind: 0, confidence: Confidence::Shape, rank }
    }

    fn left(hits: &[Hit]) -> Vec<(usize, usize)> {
        let mut hits = hits.to_vec();
        resolve(&mut hits);
        hits.iter().map(|hit| (hit.start, hit.end)).collect()
    }

    #[test]
    fn the_more_specific_wins_then_the_longer() {
        assert_eq!(left(&[hit(0, 9, 1), hit(2, 5, 4)]), [(2, 5)]);
        assert_eq!(left(&[hit(0, 9, 4), hit(2, 5, 4)]), [(0, 9)]);
        assert_eq!(left(&[hit(0, 5, 1), hit(5, 9, 4)]), [(0, 5), (5, 9)]);
    }

    #[test]
    fn who_overlaps_only_a_loser_stays() {
        assert_eq!(left(&[hit(0, 4, 1), hit(3, 7, 2), hit(6, 9, 3)]), [(0, 4), (6, 9)]);
    }

    proptest! {
        #[test]
        fn what_is_left_is_in_order_and_apart(spans in proptest::collection::vec((0..60_usize, 1..20_usize, 0..5_u16), 0..40)) {
            let hits: Vec<_> = spans.iter().map(|(start, len, literal)| hit(*start, start + len, *literal)).collect();
            let left = left(&hits);
            prop_assert!(left.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            // Nothing was dropped that nobody was in the way of.
            for lost in hits.iter().filter(|hit| !left.contains(&(hit.start, hit.end))) {
                prop_assert!(left.iter().any(|(start, end)| *start < lost.end && lost.start < *end));
            }
        }
    }
}

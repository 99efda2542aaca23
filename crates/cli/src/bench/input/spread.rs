//! Choosing some of many, evenly and the same way every time.

/// Neighbouring pages from an address or offset on; the number's meaning is
/// the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) pages: u64,
}

/// At most `want` pages of `runs`, in groups of `group` neighbours at even
/// distances. All of them if there are no more.
///
/// A group crosses from one run into the next only where it cannot be moved
/// back to fit. `page` is a page's size in the unit of [`Run::start`].
pub(super) fn spread(runs: &[Run], want: u64, group: u64, page: u64) -> Vec<Run> {
    let total: u64 = runs.iter().map(|run| run.pages).sum();
    if want >= total {
        return runs.to_vec();
    }
    let group = group.clamp(1, want.max(1));
    let groups = want / group;
    let mut chosen = Vec::new();
    let (mut at, mut before) = (0, 0);
    let mut free = 0;
    for n in 0..groups {
        let even = u128::from(total) * u128::from(n) / u128::from(groups);
        // Below `total`, which is a u64, and at least `group` beyond the last.
        let mut first = even as u64;
        while before + runs[at].pages <= first {
            before += runs[at].pages;
            at += 1;
        }
        let beyond = (first + group).saturating_sub(before + runs[at].pages);
        match first.checked_sub(beyond) {
            Some(back) if back >= before.max(free) => first = back,
            _ => {}
        }
        take(runs, at, first - before, group, page, &mut chosen);
        free = first + group;
    }
    chosen
}

/// Adds `pages` pages from the `skip`th page of run `at` on.
fn take(runs: &[Run], at: usize, skip: u64, pages: u64, page: u64, chosen: &mut Vec<Run>) {
    let mut skip = skip;
    let mut left = pages;
    for run in &runs[at..] {
        let pages = left.min(run.pages - skip);
        if pages > 0 {
            chosen.push(Run {
                start: run.start + skip * page,
                pages,
            });
        }
        left -= pages;
        if left == 0 {
            return;
        }
        skip = 0;
    }
}

/// Shares of `budget` for takers that can use `sizes`: equal, except that who
/// can use less than an equal share gets all it can use.
pub(super) fn shares(budget: u64, sizes: &[u64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&i| sizes[i]);
    let mut left = budget;
    let mut shares = vec![0; sizes.len()];
    for (done, &i) in order.iter().enumerate() {
        let equal = left / (sizes.len() - done) as u64;
        shares[i] = sizes[i].min(equal);
        left -= shares[i];
    }
    shares
}

/// `count` of `items`, at even distances.
pub(super) fn evenly<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).map(move |n| &items[n * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, pages: u64) -> Run {
        Run { start, pages }
    }

    /// Checks what holds for any choice, and returns it.
    fn check(runs: &[Run], want: u64, group: u64) -> Vec<Run> {
        let chosen = spread(runs, want, group, 1);
        let total: u64 = runs.iter().map(|run| run.pages).sum();
        let taken: u64 = chosen.iter().map(|run| run.pages).sum();
        assert!(taken <= want || taken == total);
        assert!(taken + group > want.min(total), "{taken} of {want}");
        let mut end = 0;
        for piece in &chosen {
            assert!(piece.start >= end, "in order, no page twice: {chosen:?}");
            end = piece.start + piece.pages;
            let within = |run: &Run| run.start <= piece.start && end <= run.start + run.pages;
            assert!(runs.iter().any(within), "{piece:?} of {runs:?}");
        }
        chosen
    }

    #[test]
    fn groups_lie_even_and_whole() {
        assert_eq!(
            check(&[run(0, 100)], 24, 8),
            [run(0, 8), run(33, 8), run(66, 8)]
        );
        // Moved back from 96, where only 4 would fit.
        assert_eq!(
            check(&[run(0, 100), run(500, 92)], 16, 8),
            [run(0, 8), run(92, 8)]
        );
        assert_eq!(check(&[run(3, 5)], 8, 8), [run(3, 5)]);
        assert_eq!(check(&[run(0, 100)], 5, 8), [run(0, 5)]);
    }

    #[test]
    fn any_shape_holds() {
        let shapes: [&[u64]; 5] = [&[1; 50], &[7, 9, 1, 8, 30], &[64], &[3; 21], &[1, 1000]];
        for shape in shapes {
            let mut start = 10;
            let runs: Vec<Run> = shape
                .iter()
                .map(|&pages| {
                    start += 100;
                    let at = start;
                    start += pages;
                    run(at, pages)
                })
                .collect();
            for want in [1, 7, 8, 9, 16, 40, 64, 500, 5000] {
                check(&runs, want, 8);
            }
        }
    }

    #[test]
    fn shares_are_equal_where_they_can_be() {
        assert_eq!(shares(100, &[10, 1000, 1000]), [10, 45, 45]);
        assert_eq!(shares(100, &[10, 20]), [10, 20]);
        assert_eq!(shares(100, &[]), [0; 0]);
        assert_eq!(shares(1, &[5, 5]).iter().sum::<u64>(), 1);
    }

    #[test]
    fn even_items() {
        let items: Vec<_> = (0..10).collect();
        assert_eq!(evenly(&items, 4).copied().collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(evenly(&items, 99).count(), 10);
        assert_eq!(evenly(&items, 0).count(), 0);
        assert_eq!(evenly::<u8>(&[], 3).count(), 0);
    }
}

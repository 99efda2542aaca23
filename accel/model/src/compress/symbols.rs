//! Which symbol stands for a match's length and distance, and with how many
//! extra bits (RFC 1951, 3.2.5).

/// Literals, end of block and lengths.
pub(super) const LITERALS: usize = pagepress_fallback::huffman::LITERALS;
/// Distances.
pub(super) const DISTANCES: usize = pagepress_fallback::huffman::DISTANCES;
/// The end of a block.
pub(super) const END_OF_BLOCK: usize = pagepress_fallback::huffman::END_OF_BLOCK;
/// The symbol of the shortest length.
pub(super) const FIRST_LENGTH: usize = END_OF_BLOCK + 1;

/// The shortest match.
pub(super) const LENGTH_MIN: usize = 3;
/// The longest match.
pub(super) const LENGTH_MAX: usize = 258;

/// The shortest length of each length symbol.
pub(super) const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];

/// Extra bits of each length symbol.
pub(super) const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

/// The length symbol, from 0 on, of each length.
pub(super) const LENGTH_SYMBOL: [u8; LENGTH_MAX + 1] = {
    let mut table = [0; LENGTH_MAX + 1];
    let mut len = LENGTH_MIN;
    let mut symbol = 0;
    while len <= LENGTH_MAX {
        while symbol + 1 < LENGTH_BASE.len() && LENGTH_BASE[symbol + 1] as usize <= len {
            symbol += 1;
        }
        table[len] = symbol as u8;
        len += 1;
    }
    table
};

/// The symbols of distances less 1: those below 256, then one in 128.
const DISTANCE_SYMBOL: [u8; 512] = {
    let mut table = [0; 512];
    let mut i = 0;
    while i < 512 {
        let d = if i < 256 { i } else { (i - 256) << 7 } as u32;
        // Two symbols for each power of two; the first two powers have one
        // each.
        let power = (d | 1).ilog2();
        let half = d >> power.saturating_sub(1) & 1;
        table[i] = (2 * power + half) as u8;
        i += 1;
    }
    table
};

/// The symbol of a distance from 1 to 32768.
#[inline(always)]
pub(super) fn distance_symbol(distance: u16) -> usize {
    let d = usize::from(distance.wrapping_sub(1)) % 32768;
    let at = if d < 256 { d } else { 256 + (d >> 7) };
    usize::from(DISTANCE_SYMBOL[at])
}

/// Extra bits of a distance symbol.
#[inline]
pub(super) const fn distance_extra(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// The shortest distance of a symbol.
#[cfg(test)]
pub(super) const fn distance_base(symbol: usize) -> u32 {
    match symbol {
        0..2 => symbol as u32 + 1,
        _ => ((2 + (symbol as u32 & 1)) << distance_extra(symbol)) + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_rfc_1951_has_them() {
        for (len, symbol, extra) in [
            (3, 257, 0),
            (10, 264, 0),
            (11, 265, 1),
            (12, 265, 1),
            (13, 266, 1),
            (18, 268, 1),
            (35, 273, 3),
            (114, 279, 4),
            (257, 284, 5),
            (258, 285, 0),
        ] {
            let at = usize::from(LENGTH_SYMBOL[len]);
            assert_eq!((FIRST_LENGTH + at, LENGTH_EXTRA[at]), (symbol, extra));
        }
        for (len, &symbol) in LENGTH_SYMBOL.iter().enumerate().skip(LENGTH_MIN) {
            let extra = len - usize::from(LENGTH_BASE[usize::from(symbol)]);
            assert!(extra < 1 << LENGTH_EXTRA[usize::from(symbol)]);
        }
    }

    #[test]
    fn distances_are_as_rfc_1951_has_them() {
        for (distance, symbol, extra) in [
            (1, 0, 0),
            (2, 1, 0),
            (3, 2, 0),
            (4, 3, 0),
            (5, 4, 1),
            (6, 4, 1),
            (7, 5, 1),
            (193, 15, 6),
            (2049, 22, 10),
            (3072, 22, 10),
            (4096, 23, 10),
            (32768, 29, 13),
        ] {
            assert_eq!(distance_symbol(distance), symbol, "{distance}");
            assert_eq!(distance_extra(symbol), extra, "{distance}");
        }
        for distance in 1..=32768 {
            let symbol = distance_symbol(distance);
            let extra = u32::from(distance) - distance_base(symbol);
            assert!(extra < 1 << distance_extra(symbol), "{distance}");
        }
    }
}

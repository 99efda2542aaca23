//! Huffman codes as deflate has them (RFC 1951, 3.2.2 and 3.2.7): code lengths
//! from counts, canonical codes from lengths, and the header that tells a
//! decoder the lengths.
//!
//! The lengths are optimal. Where no code would be longer than allowed they
//! are Huffman's, found in place (Moffat and Katajainen 1995); elsewhere those
//! of the package-merge algorithm (Larmore and Hirschberg 1990). Nothing here
//! allocates.

/// The most symbols an alphabet can have.
pub const SYMBOLS_MAX: usize = 288;

/// Symbols of the literal/length alphabet that a header can describe.
pub const LITERALS: usize = 286;

/// Symbols of the distance alphabet that a header can describe.
pub const DISTANCES: usize = 30;

/// The longest code of a literal, length or distance.
pub const CODE_BITS_MAX: u8 = 15;

/// The longest code of a code length.
const LENGTH_CODE_BITS_MAX: u8 = 7;

/// The end-of-block symbol.
pub const END_OF_BLOCK: usize = 256;

/// Symbols of the distances up to 4096, the furthest that a device can follow.
pub const DISTANCES_NEAR: usize = 24;

/// Code lengths of the fixed codes (RFC 1951, 3.2.6). The last two of each have codes
/// and no meaning.
pub const FIXED: ([u8; SYMBOLS_MAX], [u8; DISTANCES + 2]) = {
    let mut literals = [8; SYMBOLS_MAX];
    let mut symbol = 144;
    while symbol < 280 {
        literals[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    (literals, [5; DISTANCES + 2])
};

/// How many of the `2^15` places codes of these lengths take: all of them if the code
/// is complete. `None` if a length is above [`CODE_BITS_MAX`].
#[must_use]
pub fn places(lengths: &[u8]) -> Option<u32> {
    let of_one = |&len: &u8| match len {
        0 => Some(0),
        1..=CODE_BITS_MAX => Some(1 << (CODE_BITS_MAX - len)),
        _ => None,
    };
    lengths.iter().map(of_one).sum()
}

/// How many there are.
pub const PLACES: u32 = 1 << CODE_BITS_MAX;

/// How many symbols have a code of each length; of none, at 0, nothing is said.
pub type LengthCounts = [u16; CODE_BITS_MAX as usize + 1];

/// Sets `lengths[i]` to the length in bits of an optimal code for a symbol
/// that occurs `counts[i]` times, or to 0 if it does not occur. Returns how
/// many codes there are of each length.
///
/// A symbol that occurs alone gets one bit. Equal counts are told apart by
/// their index, so the same counts always give the same lengths.
///
/// # Panics
/// If the slices differ in length or are longer than [`SYMBOLS_MAX`], if
/// `max_len` is above [`CODE_BITS_MAX`], or if more than `2^max_len` symbols
/// occur.
pub fn code_lengths(counts: &[u32], max_len: u8, lengths: &mut [u8]) -> LengthCounts {
    assert!(counts.len() <= SYMBOLS_MAX && counts.len() == lengths.len());
    assert!((1..=CODE_BITS_MAX).contains(&max_len));
    if counts.len() <= SMALL {
        code_lengths_in::<{ SMALL + 2 }>(counts, max_len, lengths)
    } else {
        code_lengths_in::<{ SYMBOLS_MAX + 2 }>(counts, max_len, lengths)
    }
}

/// Alphabets up to this size are sorted otherwise, and take less memory.
const SMALL: usize = 32;

/// [`code_lengths`] with room for two symbols more than there are.
fn code_lengths_in<const ROOM: usize>(
    counts: &[u32],
    max_len: u8,
    lengths: &mut [u8],
) -> LengthCounts {
    let mut keys = [0; ROOM];
    let used = if ROOM <= SMALL + 2 {
        sort_few(counts, &mut keys)
    } else {
        sort(counts, &mut keys)
    };
    let keys = &keys[..used];
    assert!(
        used <= 1 << max_len,
        "too many symbols for codes this short"
    );
    lengths.fill(0);
    let mut of_length = LengthCounts::default();
    if used < 2 {
        for &key in keys {
            lengths[symbol_of(key)] = 1;
            of_length[1] = 1;
        }
        return of_length;
    }

    let mut weights = [u64::MAX; ROOM];
    for (weight, &key) in weights.iter_mut().zip(keys) {
        *weight = key >> 16;
    }
    if !huffman(&weights, used, max_len, &mut of_length) {
        package_merge(&mut weights, used, max_len);
        for &len in &weights[..used] {
            of_length[len as usize] += 1;
        }
    }
    // The rarest symbols have the longest codes.
    let mut rest = keys;
    for (len, &count) in of_length.iter().enumerate().rev() {
        let (these, others) = rest.split_at(usize::from(count));
        for &key in these {
            lengths[symbol_of(key)] = len as u8;
        }
        rest = others;
    }
    of_length
}

fn symbol_of(key: u64) -> usize {
    usize::from(key as u16)
}

/// Puts the symbols that occur in the order of their counts, those of equal
/// counts in their own: count above, index below. Returns how many there are;
/// behind them are those that do not occur.
fn sort(counts: &[u32], keys: &mut [u64]) -> usize {
    /// Counts from the last one on share it: of a page, few symbols do.
    const BUCKETS: usize = 64;
    let bucket = |count: u32| (count as usize).min(BUCKETS - 1);
    // Two tables, and symbols from both ends: none need wait for one of the same
    // count right before it.
    let mut sizes = [[0u16; BUCKETS]; 2];
    let [even, odd] = &mut sizes;
    let mut pairs = counts.chunks_exact(2);
    for pair in &mut pairs {
        even[bucket(pair[0])] += 1;
        odd[bucket(pair[1])] += 1;
    }
    for &count in pairs.remainder() {
        even[bucket(count)] += 1;
    }
    let mut up = [0u16; BUCKETS];
    let mut down = [0u16; BUCKETS];
    let mut sum = 0;
    // What does not occur goes last.
    for i in (1..BUCKETS).chain([0]) {
        up[i] = sum;
        sum += even[i] + odd[i];
        down[i] = sum;
    }
    let (shared, used) = (usize::from(up[BUCKETS - 1]), usize::from(up[0]));
    let key = |count, symbol| u64::from(count) << 16 | symbol as u64;
    let (low, high) = counts.split_at(counts.len() / 2);
    let mut from_below = low.iter().enumerate();
    for (i, &count) in high.iter().enumerate().rev() {
        let at = &mut down[bucket(count)];
        *at -= 1;
        keys[usize::from(*at)] = key(count, low.len() + i);
        if let Some((i, &count)) = from_below.next() {
            let at = &mut up[bucket(count)];
            keys[usize::from(*at)] = key(count, i);
            *at += 1;
        }
    }
    keys[shared..used].sort_unstable();
    used
}

/// The same for a few symbols.
fn sort_few(counts: &[u32], keys: &mut [u64]) -> usize {
    let mut used = 0;
    for (symbol, &count) in (0u64..).zip(counts) {
        keys[used] = u64::from(count) << 16 | symbol;
        used += usize::from(count != 0);
    }
    keys[..used].sort_unstable();
    used
}

/// Counts the leaves of each depth of the tree that Huffman's algorithm makes
/// of the first `n` weights, two or more, smallest first and with two sentinels
/// behind. `false` if some are deeper than `max_len`.
fn huffman<const ROOM: usize>(
    weights: &[u64; ROOM],
    n: usize,
    max_len: u8,
    of_length: &mut LengthCounts,
) -> bool {
    // Inner nodes come into being in the order of their weights. Of the two
    // least leaves and the two least nodes that have no parent yet, two get
    // one, without a branch that could be mispredicted; leaves go first.
    let mut nodes = [u64::MAX; ROOM];
    // The first node below each; those below the next one follow.
    let mut below = [0u16; ROOM];
    let (mut leaf, mut node) = (0, 0);
    for next in 0..n - 1 {
        let (leaf_0, leaf_1) = (weights[leaf], weights[leaf + 1]);
        let (node_0, node_1) = (nodes[node], nodes[node + 1]);
        below[next] = node as u16;
        let taken = usize::from(node_0 < leaf_1) + usize::from(node_1 < leaf_0);
        nodes[next] = leaf_0.min(node_1) + leaf_1.min(node_0);
        node += taken;
        leaf += 2 - taken;
    }
    // So those of one depth lie side by side, the deepest first.
    let (mut first, mut at_depth) = (n - 2, 1);
    for leaves in &mut of_length[1..=usize::from(max_len)] {
        let deeper = usize::from(below[first]);
        let nodes = (first - deeper) as u16;
        *leaves = 2 * at_depth - nodes;
        (first, at_depth) = (deeper, nodes);
    }
    if at_depth != 0 {
        *of_length = LengthCounts::default();
    }
    at_depth == 0
}

/// The same with no length above `max_len`.
#[cold]
#[inline(never)]
fn package_merge<const ROOM: usize>(a: &mut [u64; ROOM], n: usize, max_len: u8) {
    let a = &mut a[..n];
    let levels = usize::from(max_len);

    // A level's list is the leaves merged with the level before in pairs. Only
    // which entries are leaves is kept of it: bit i for entry i.
    let mut leaves = [[0u64; 2 * SYMBOLS_MAX / 64]; CODE_BITS_MAX as usize];
    let mut lists = [[[0u64; ROOM]; 2]; 2];
    let [before, list] = &mut lists;
    let (mut before, mut list) = (before.as_flattened_mut(), list.as_flattened_mut());
    let mut before_len = 0;
    for is_leaf in &mut leaves[..levels] {
        let (mut leaf, mut pair, mut len) = (0, 0, 0);
        while leaf < n || pair < before_len / 2 {
            let package = before[2 * pair] + before[2 * pair + 1];
            if pair >= before_len / 2 || leaf < n && a[leaf] <= package {
                list[len] = a[leaf];
                is_leaf[len / 64] |= 1 << (len % 64);
                leaf += 1;
            } else {
                list[len] = package;
                pair += 1;
            }
            len += 1;
        }
        core::mem::swap(&mut before, &mut list);
        before_len = len;
    }

    // The first 2n - 2 entries of the last list are chosen, with all that they
    // are packed from. A leaf's length is how often it is chosen.
    a.fill(0);
    let mut chosen = 2 * n - 2;
    for is_leaf in leaves[..levels].iter().rev() {
        let among = (0..chosen)
            .filter(|i| is_leaf[i / 64] >> (i % 64) & 1 != 0)
            .count();
        for len in &mut a[..among] {
            *len += 1;
        }
        chosen = 2 * (chosen - among);
    }
}

/// The canonical code of the first symbol of each length, by how many there
/// are of each.
#[must_use]
pub fn first_codes(of_length: &LengthCounts) -> LengthCounts {
    let mut first = LengthCounts::default();
    for len in 1..of_length.len() {
        let shorter = if len == 1 { 0 } else { of_length[len - 1] };
        first[len] = first[len - 1].wrapping_add(shorter) << 1;
    }
    first
}

/// Sets `codes[i]` to the canonical code of a symbol with `lengths[i]` bits:
/// its value, first bit highest. Deflate streams carry it in the opposite
/// order, which [`reversed`] gives.
///
/// # Panics
/// If `codes` is shorter than `lengths`, or a length above
/// [`CODE_BITS_MAX`].
pub fn canonical_codes(lengths: &[u8], codes: &mut [u16]) {
    let mut of_length = LengthCounts::default();
    for &len in lengths {
        of_length[usize::from(len)] += 1;
    }
    let mut next = first_codes(&of_length);
    for (code, &len) in codes[..lengths.len()].iter_mut().zip(lengths) {
        let next = &mut next[usize::from(len)];
        *code = if len == 0 { 0 } else { *next };
        *next = next.wrapping_add(u16::from(len != 0));
    }
}

/// The low `len` bits of `code` in opposite order.
///
/// # Panics
/// If `len` is above 16.
#[must_use]
pub const fn reversed(code: u16, len: u8) -> u16 {
    ((code.reverse_bits() as u32) >> (16 - len as u32)) as u16
}

/// The header of a deflate block with dynamic codes.
#[derive(Debug, Clone)]
pub struct Header {
    /// Run-length coded code lengths: a code-length symbol in bits 4:0, its
    /// extra bits above.
    runs: [u16; LITERALS + DISTANCES + 1],
    runs_len: usize,
    lengths: [u8; RUN_SYMBOLS],
    hlit: usize,
    hdist: usize,
    hclen: usize,
    bits: usize,
}

/// Symbols of the code-length alphabet: 16 lengths, then three kinds of runs.
const RUN_SYMBOLS: usize = 19;
const RUN_LAST: u16 = 16;
const RUN_ZEROS_SHORT: u16 = 17;
const RUN_ZEROS_LONG: u16 = 18;

/// Extra bits of the three kinds of runs.
const fn run_extra_bits(symbol: u16) -> u32 {
    match symbol {
        RUN_LAST => 2,
        RUN_ZEROS_SHORT => 3,
        RUN_ZEROS_LONG => 7,
        _ => 0,
    }
}

/// The order in which a header has the code lengths of code lengths.
const LENGTH_CODE_ORDER: [u8; RUN_SYMBOLS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

impl Header {
    /// The header that describes codes with these lengths.
    ///
    /// No run goes from the literals' lengths over into the distances', which
    /// deflate allows and Intel's IAA refuses.
    ///
    /// # Panics
    /// If `literals` has less than 257 or more than [`LITERALS`] entries,
    /// `distances` none or more than [`DISTANCES`], or a length is above
    /// [`CODE_BITS_MAX`].
    #[must_use]
    pub fn new(literals: &[u8], distances: &[u8]) -> Self {
        assert!((END_OF_BLOCK + 1..=LITERALS).contains(&literals.len()));
        assert!((1..=DISTANCES).contains(&distances.len()));
        let all = literals.iter().chain(distances);
        assert!(all.fold(0, |most, &len| most.max(len)) <= CODE_BITS_MAX);
        let literals = &literals[..used_len(literals).max(END_OF_BLOCK + 1)];
        let distances = &distances[..used_len(distances).max(1)];

        let mut header = Self {
            runs: [0; LITERALS + DISTANCES + 1],
            runs_len: 0,
            lengths: [0; RUN_SYMBOLS],
            hlit: literals.len(),
            hdist: distances.len(),
            hclen: 0,
            bits: 0,
        };
        let mut counts = [0; 32];
        for lengths in [literals, distances] {
            header.add_runs(lengths, &mut counts);
        }
        let written = counts;
        let counts = &mut counts[..RUN_SYMBOLS];
        // A code of one code length alone would be incomplete, and decoders
        // refuse that here.
        if counts.iter().filter(|&&count| count != 0).count() < 2 {
            let unused = usize::from(counts[0] != 0);
            counts[unused] = 1;
        }
        code_lengths(counts, LENGTH_CODE_BITS_MAX, &mut header.lengths);
        header.hclen = LENGTH_CODE_ORDER
            .iter()
            .rposition(|&symbol| header.lengths[usize::from(symbol)] != 0)
            .map_or(4, |last| (last + 1).max(4));
        let runs = written.iter().zip(&header.lengths).zip(0..);
        let runs =
            runs.map(|((&count, &len), symbol)| count * (u32::from(len) + run_extra_bits(symbol)));
        header.bits = 3 + 5 + 5 + 4 + 3 * header.hclen + runs.sum::<u32>() as usize;
        header
    }

    fn add_runs(&mut self, lengths: &[u8], counts: &mut [u32; 32]) {
        let mut at = self.runs_len;
        let mut start = 0;
        for (word, part) in lengths.chunks(64).enumerate() {
            // A bit for each length that ends a run.
            let next = lengths.get(64 * word + 1..).unwrap_or_default();
            let mut ends = differences(part, next);
            if 64 * word + part.len() == lengths.len() {
                ends |= 1 << (part.len() - 1);
            }
            while ends != 0 {
                let end = 64 * word + ends.trailing_zeros() as usize + 1;
                ends &= ends - 1;
                let (symbol, count) = (u16::from(lengths[start]), end - start);
                start = end;
                if count < 3 {
                    // Most are; the second is written in any case, and counts
                    // if there is one.
                    self.runs[at..at + 2].fill(symbol);
                    at += count;
                    counts[usize::from(symbol % 32)] += count as u32;
                } else {
                    at += add_long_run(symbol, count, &mut self.runs[at..], counts);
                }
            }
        }
        self.runs_len = at;
    }

    fn runs(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let runs = &self.runs[..self.runs_len];
        runs.iter().map(|run| (run & 31, run >> 5))
    }

    /// How many bits [`write`](Self::write) writes.
    #[must_use]
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// Writes the header as bytes, lowest bits first: what [`write`](Self::write)
    /// gives, with zeroes up to the end of the last byte. What lies up to eight
    /// bytes behind may be zeroed.
    ///
    /// # Panics
    /// If `bytes` does not have eight bytes more than the header.
    pub fn write_bytes(&self, is_final: bool, bytes: &mut [u8]) {
        let mut out = Bits::new(bytes);
        let counts = (self.hlit - 257) | (self.hdist - 1) << 5 | (self.hclen - 4) << 10;
        out.add(u64::from(is_final) | 2 << 1 | (counts as u64) << 3, 17);
        out.put_out();
        for symbols in LENGTH_CODE_ORDER[..self.hclen].chunks(16) {
            for &symbol in symbols {
                out.add(self.lengths[usize::from(symbol)].into(), 3);
            }
            out.put_out();
        }
        // Code, its bits, and its bits with the extra ones.
        let mut table = [(0, 0, 0); 32];
        let mut codes = [0; RUN_SYMBOLS];
        canonical_codes(&self.lengths, &mut codes);
        for (symbol, entry) in (0..).zip(&mut table[..RUN_SYMBOLS]) {
            let len = self.lengths[usize::from(symbol)];
            let code = reversed(codes[usize::from(symbol)], len);
            *entry = (code, len, len + run_extra_bits(symbol) as u8);
        }
        // At most 14 bits each.
        for runs in self.runs[..self.runs_len].chunks(4) {
            for run in runs {
                let (code, len, bits) = table[usize::from(run & 31)];
                out.add(u64::from(code) | u64::from(run >> 5) << len, bits.into());
            }
            out.put_out();
        }
    }

    /// Writes the header, from the bit that says whether the block is final
    /// on. `put` takes bits, the first one lowest, and how many there are: at
    /// most 14.
    pub fn write(&self, is_final: bool, mut put: impl FnMut(u32, u32)) {
        let mut codes = [0; RUN_SYMBOLS];
        canonical_codes(&self.lengths, &mut codes);
        put(u32::from(is_final) | 2 << 1, 3);
        put((self.hlit - 257) as u32, 5);
        put((self.hdist - 1) as u32, 5);
        put((self.hclen - 4) as u32, 4);
        for symbol in &LENGTH_CODE_ORDER[..self.hclen] {
            put(u32::from(self.lengths[usize::from(*symbol)]), 3);
        }
        for (symbol, extra) in self.runs() {
            let len = self.lengths[usize::from(symbol)];
            let code = reversed(codes[usize::from(symbol)], len);
            let bits = u32::from(len) + run_extra_bits(symbol);
            put(u32::from(code) | u32::from(extra) << len, bits);
        }
    }
}

/// Writes a run of three or more; returns how many entries it took.
fn add_long_run(symbol: u16, count: usize, runs: &mut [u16], counts: &mut [u32; 32]) -> usize {
    let mut at = 0;
    let mut add = |symbol: u16, extra: usize| {
        runs[at] = symbol | (extra as u16) << 5;
        at += 1;
        counts[usize::from(symbol % 32)] += 1;
    };
    let mut left = count;
    if symbol == 0 {
        while left >= 11 {
            let n = left.min(138);
            add(RUN_ZEROS_LONG, n - 11);
            left -= n;
        }
        if left >= 3 {
            add(RUN_ZEROS_SHORT, left - 3);
            left = 0;
        }
    } else {
        add(symbol, 0);
        left -= 1;
        while left >= 3 {
            let n = left.min(6);
            add(RUN_LAST, n - 3);
            left -= n;
        }
    }
    for _ in 0..left {
        add(symbol, 0);
    }
    at
}

/// Bits on their way to bytes.
struct Bits<'a> {
    bytes: &'a mut [u8],
    at: usize,
    bits: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bits: 0,
            count: 0,
        }
    }

    /// No more than 56 between two times that they are put out.
    #[inline]
    fn add(&mut self, value: u64, len: u32) {
        self.bits |= value << self.count;
        self.count += len;
    }

    #[inline]
    fn put_out(&mut self) {
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count %= 8;
    }
}

/// A bit for each of up to 64 code lengths that differs from the one at its
/// place in `next`. Where there is none, it stays 0.
#[inline]
fn differences(lengths: &[u8], next: &[u8]) -> u64 {
    let bytes = |chunk: &[u8]| chunk.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (mut bits, mut at) = (0, 0);
    while let (Some(a), Some(b)) = (bytes(&lengths[at..]), next.get(at..).and_then(bytes)) {
        // Code lengths are small, so no sum reaches the next byte.
        let differ = ((a ^ b) + 0x7F7F_7F7F_7F7F_7F7F) & 0x8080_8080_8080_8080;
        // The highest bits of the eight bytes, side by side.
        let byte = (differ >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= byte << at;
        at += 8;
    }
    for (i, (a, b)) in lengths.iter().zip(next).enumerate().skip(at) {
        bits |= u64::from(a != b) << i;
    }
    bits
}

/// The length without what is zero at the end.
fn used_len(lengths: &[u8]) -> usize {
    lengths
        .iter()
        .rposition(|&len| len != 0)
        .map_or(0, |last| last + 1)
}

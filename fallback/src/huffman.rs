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

/// Sets `lengths[i]` to the length in bits of an optimal code for a symbol
/// that occurs `counts[i]` times, or to 0 if it does not occur.
///
/// A symbol that occurs alone gets one bit. Equal counts are told apart by
/// their index, so the same counts always give the same lengths.
///
/// # Panics
/// If the slices differ in length or are longer than [`SYMBOLS_MAX`], if
/// `max_len` is above [`CODE_BITS_MAX`], or if more than `2^max_len` symbols
/// occur.
pub fn code_lengths(counts: &[u32], max_len: u8, lengths: &mut [u8]) {
    assert!(counts.len() <= SYMBOLS_MAX && counts.len() == lengths.len());
    assert!((1..=CODE_BITS_MAX).contains(&max_len));

    // Symbols in the order of their counts: count above, index below.
    let mut keys = [0u64; SYMBOLS_MAX];
    let mut used = 0;
    for (key, (symbol, &count)) in (0u64..).zip(counts.iter().enumerate()) {
        lengths[symbol] = 0;
        keys[used] = u64::from(count) << 16 | key;
        used += usize::from(count != 0);
    }
    let keys = &mut keys[..used];
    assert!(
        used <= 1 << max_len,
        "too many symbols for codes this short"
    );
    if used < 2 {
        for &key in &*keys {
            lengths[symbol_of(key)] = 1;
        }
        return;
    }
    keys.sort_unstable();

    let mut work = [0u64; SYMBOLS_MAX];
    let work = &mut work[..used];
    for (weight, &key) in work.iter_mut().zip(&*keys) {
        *weight = key >> 16;
    }
    huffman(work);
    if work[0] > u64::from(max_len) {
        for (weight, &key) in work.iter_mut().zip(&*keys) {
            *weight = key >> 16;
        }
        package_merge(work, max_len);
    }
    for (&len, &key) in work.iter().zip(&*keys) {
        lengths[symbol_of(key)] = u8::try_from(len).expect("a code length");
    }
}

fn symbol_of(key: u64) -> usize {
    usize::from(key as u16)
}

/// Turns two or more weights, smallest first, into code lengths, longest
/// first.
fn huffman(a: &mut [u64]) {
    let n = a.len();
    // Left to right: inner nodes grow at the front, over the leaves that are
    // used up, and each one that gets a parent keeps that parent's index.
    let (mut leaf, mut root) = (0, 0);
    for next in 0..n - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf >= n || root < next && a[root] < a[leaf] {
                weight += a[root];
                a[root] = next as u64;
                root += 1;
            } else {
                weight += a[leaf];
                leaf += 1;
            }
        }
        a[next] = weight;
    }
    // Right to left: parents' indices become depths of inner nodes.
    a[n - 2] = 0;
    for node in (0..n - 2).rev() {
        a[node] = a[a[node] as usize] + 1;
    }
    // Right to left again: what inner nodes leave free at a depth are leaves.
    let (mut inner, mut next) = (n - 1, n);
    let (mut free, mut depth) = (1, 0);
    while free > 0 {
        let mut nodes = 0;
        while inner > 0 && a[inner - 1] == depth {
            nodes += 1;
            inner -= 1;
        }
        for _ in nodes..free {
            next -= 1;
            a[next] = depth;
        }
        free = 2 * nodes;
        depth += 1;
    }
}

/// The same with no length above `max_len`.
fn package_merge(a: &mut [u64], max_len: u8) {
    const LIST_MAX: usize = 2 * SYMBOLS_MAX;
    let n = a.len();
    let levels = usize::from(max_len);

    // A level's list is the leaves merged with the level before in pairs. Only
    // which entries are leaves is kept of it: bit i for entry i.
    let mut leaves = [[0u64; LIST_MAX / 64]; CODE_BITS_MAX as usize];
    let (mut before, mut list) = ([0u64; LIST_MAX], [0u64; LIST_MAX]);
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

/// Sets `codes[i]` to the canonical code of a symbol with `lengths[i]` bits:
/// its value, first bit highest. Deflate streams carry it in the opposite
/// order, which [`reversed`] gives.
///
/// # Panics
/// If `codes` is shorter than `lengths`, or a length above
/// [`CODE_BITS_MAX`].
pub fn canonical_codes(lengths: &[u8], codes: &mut [u16]) {
    let mut next = [0u16; CODE_BITS_MAX as usize + 2];
    for &len in lengths {
        next[usize::from(len) + 1] += 1;
    }
    // From how many codes each length has to the first code of each.
    next[1] = 0;
    for len in 1..=usize::from(CODE_BITS_MAX) {
        next[len + 1] = next[len].wrapping_add(next[len + 1]) << 1;
    }
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
    runs: [u16; LITERALS + DISTANCES],
    runs_len: usize,
    lengths: [u8; RUN_SYMBOLS],
    hlit: usize,
    hdist: usize,
    hclen: usize,
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
        let literals = &literals[..used_len(literals).max(END_OF_BLOCK + 1)];
        let distances = &distances[..used_len(distances).max(1)];

        let mut header = Self {
            runs: [0; LITERALS + DISTANCES],
            runs_len: 0,
            lengths: [0; RUN_SYMBOLS],
            hlit: literals.len(),
            hdist: distances.len(),
            hclen: 0,
        };
        let mut counts = [0; RUN_SYMBOLS];
        for lengths in [literals, distances] {
            header.add_runs(lengths, &mut counts);
        }
        // A code of one code length alone would be incomplete, and decoders
        // refuse that here.
        if counts.iter().filter(|&&count| count != 0).count() < 2 {
            let unused = usize::from(counts[0] != 0);
            counts[unused] = 1;
        }
        code_lengths(&counts, LENGTH_CODE_BITS_MAX, &mut header.lengths);
        header.hclen = LENGTH_CODE_ORDER
            .iter()
            .rposition(|&symbol| header.lengths[usize::from(symbol)] != 0)
            .map_or(4, |last| (last + 1).max(4));
        header
    }

    fn add_runs(&mut self, lengths: &[u8], counts: &mut [u32; RUN_SYMBOLS]) {
        let mut add = |symbol: u16, extra: usize| {
            self.runs[self.runs_len] = symbol | (extra as u16) << 5;
            self.runs_len += 1;
            counts[usize::from(symbol)] += 1;
        };
        for run in lengths.chunk_by(|a, b| a == b) {
            let symbol = u16::from(run[0]);
            assert!(run[0] <= CODE_BITS_MAX);
            let mut left = run.len();
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
        }
    }

    fn runs(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let runs = &self.runs[..self.runs_len];
        runs.iter().map(|run| (run & 31, run >> 5))
    }

    /// How many bits [`write`](Self::write) writes.
    #[must_use]
    pub fn bits(&self) -> usize {
        let runs = self.runs().map(|(symbol, _)| {
            u32::from(self.lengths[usize::from(symbol)]) + run_extra_bits(symbol)
        });
        3 + 5 + 5 + 4 + 3 * self.hclen + runs.sum::<u32>() as usize
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

/// The length without what is zero at the end.
fn used_len(lengths: &[u8]) -> usize {
    lengths
        .iter()
        .rposition(|&len| len != 0)
        .map_or(0, |last| last + 1)
}

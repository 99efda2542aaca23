//! Tokens in the form in which they are written, and all those of a step, for
//! header generation: its codes are known only after the last one.

use super::matcher::Sink;
use super::plan::STEP;
use super::symbols::{LENGTH_MAX, LENGTH_MIN, distance_extra, distance_symbol};

/// Values of [`Token::index`].
pub(super) const INDEXES: usize = 512;
/// The first of them that is a match.
const FIRST_MATCH: usize = 256;
/// What a literal has for a distance symbol.
pub(super) const NO_DISTANCE: usize = 31;

const _: () = assert!(FIRST_MATCH + LENGTH_MAX - LENGTH_MIN < INDEXES);

/// A literal or a match: its index in bits 8:0, a distance's symbol in 13:9 and
/// its extra bits above.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token(u32);

impl Token {
    #[inline(always)]
    const fn literal(byte: u8) -> Self {
        Self(byte as u32 | (NO_DISTANCE as u32) << 9)
    }

    #[inline(always)]
    pub(super) fn repeat(length: u16, distance: u16) -> Self {
        let symbol = distance_symbol(distance);
        let extra = u32::from(distance - 1) & ((1 << distance_extra(symbol)) - 1);
        Self(index_of(usize::from(length)) as u32 | (symbol as u32) << 9 | extra << 14)
    }

    /// A literal's byte, or what [`index_of`] a match's length is.
    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        self.0 as usize % INDEXES
    }

    /// The symbol of its distance, or [`NO_DISTANCE`].
    #[inline(always)]
    pub(super) const fn distance_symbol(self) -> usize {
        (self.0 >> 9) as usize % 32
    }

    /// The extra bits of its distance.
    #[inline(always)]
    pub(super) const fn distance_extra(self) -> u64 {
        (self.0 >> 14) as u64
    }

    /// Bytes of data that it stands for.
    const fn bytes(self) -> usize {
        match self.index() {
            0..FIRST_MATCH => 1,
            index => index - FIRST_MATCH + LENGTH_MIN,
        }
    }
}

/// Where a match's length is among the indexes.
#[inline(always)]
pub(super) const fn index_of(length: usize) -> usize {
    length - LENGTH_MIN + FIRST_MATCH
}

/// The tokens of one step.
#[derive(Debug)]
pub(super) struct Tokens {
    tokens: Box<[Token; STEP]>,
    len: usize,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            tokens: Box::new([Token::default(); STEP]),
            len: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds tokens, at most [`STEP`] in all.
    pub(super) fn keeper(&mut self) -> Keeper<'_> {
        Keeper {
            len: self.len,
            tokens: self,
        }
    }

    /// All of them: those up to the first one that ends at `bytes` or later,
    /// then the others.
    pub(super) fn split_after(&self, bytes: usize) -> (&[Token], &[Token]) {
        let tokens = &self.tokens[..self.len];
        let mut end = 0;
        let before = tokens
            .iter()
            .position(|token| {
                end += token.bytes();
                end >= bytes
            })
            .map_or(tokens.len(), |last| last + 1);
        tokens.split_at(before)
    }

    pub(super) fn all(&self) -> &[Token] {
        &self.tokens[..self.len]
    }
}

/// Keeps tokens.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    tokens: &'a mut Tokens,
    len: usize,
}

impl Keeper<'_> {
    #[inline(always)]
    fn push(&mut self, token: Token) {
        if let Some(slot) = self.tokens.tokens.get_mut(self.len) {
            *slot = token;
        }
        self.len += 1;
    }

    pub(super) fn finish(self) {
        self.tokens.len = self.len;
    }
}

impl Sink for Keeper<'_> {
    #[inline(always)]
    fn literal(&mut self, byte: u8) {
        self.push(Token::literal(byte));
    }

    #[inline(always)]
    fn repeat(&mut self, length: u16, distance: u16) {
        self.push(Token::repeat(length, distance));
    }
}

/// Two sinks for the same tokens.
impl<A: Sink, B: Sink> Sink for (A, B) {
    #[inline(always)]
    fn literal(&mut self, byte: u8) {
        self.0.literal(byte);
        self.1.literal(byte);
    }

    #[inline(always)]
    fn repeat(&mut self, length: u16, distance: u16) {
        self.0.repeat(length, distance);
        self.1.repeat(length, distance);
    }
}

impl<S: Sink> Sink for &mut S {
    #[inline(always)]
    fn literal(&mut self, byte: u8) {
        (**self).literal(byte);
    }

    #[inline(always)]
    fn repeat(&mut self, length: u16, distance: u16) {
        (**self).repeat(length, distance);
    }
}
